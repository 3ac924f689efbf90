// Which intrinsics a module declares, without reading its functions.
#pragma once

#include <llvm/IR/Module.h>

#include <string>
#include <vector>

namespace metalwright::air {

// The `air.*` functions that the module declares, in its order. The bodies need not be there
// (llvm::getLazyBitcodeModule): reading those of a large library takes a hundred times as long.
std::vector<std::string> declared_intrinsics(const llvm::Module& module);

} // namespace metalwright::air
