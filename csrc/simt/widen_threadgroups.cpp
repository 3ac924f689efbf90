// Tries the widest program first, with interleaved threadgroup memory first.
#include "simt/widen_threadgroups.h"

#include "simt/join_gathers.h"
#include "simt/simdgroup_state.h"
#include "simt/widener.h"

#include <llvm/Transforms/Utils/Cloning.h>

namespace metalwright::simt {

static bool widen(llvm::Function& function, const ThreadgroupLayout& layout, unsigned width,
                  bool is_interleaved) {
  llvm::ValueToValueMapTy values;
  llvm::Function* copy = llvm::CloneFunction(&function, values);
  llvm::Function* made = Widener(*copy, layout, width, is_interleaved).run();
  copy->eraseFromParent();
  if (!made)
    return false;
  const llvm::GlobalValue::LinkageTypes linkage = function.getLinkage();
  function.deleteBody();
  function.setLinkage(linkage);
  function.splice(function.begin(), made);
  for (unsigned i = 0; i < function.arg_size(); ++i)
    made->getArg(i)->replaceAllUsesWith(function.getArg(i));
  made->eraseFromParent();
  return true;
}

unsigned widen_threadgroups(llvm::Function& function, const ThreadgroupLayout& layout,
                            unsigned multiple) {
  // Most programs have nothing of the kind, and need not be copied to see that.
  const std::optional<ContextUses> uses = uses_of_context(*function.getArg(1));
  if (!uses || find_neighbouring_gathers(function, places_along_x(*uses)).empty())
    return 1;
  for (unsigned width = kMostThreadgroups; width >= kThreadgroupsTogether; width /= 2)
    if (multiple % width == 0 && width * layout.stride() <= kMemoryTogether &&
        (widen(function, layout, width, true) || widen(function, layout, width, false)))
      return width;
  return 1;
}

} // namespace metalwright::simt
