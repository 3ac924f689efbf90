// Which intrinsics a module declares, without reading its functions.
#include "air/intrinsics.h"

namespace metalwright::air {

std::vector<std::string> declared_intrinsics(const llvm::Module& module) {
  std::vector<std::string> names;
  for (const llvm::Function& function : module)
    if (function.isDeclaration() && !function.isMaterializable() &&
        function.getName().starts_with("air."))
      names.push_back(function.getName().str());
  return names;
}

} // namespace metalwright::air
