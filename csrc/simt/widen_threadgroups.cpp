// Tries the widest program first, with interleaved threadgroup memory first.
#include "simt/widen_threadgroups.h"

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
  for (unsigned width = kMostThreadgroups; width >= kThreadgroupsTogether; width /= 2)
    if (multiple % width == 0 && width * (llvm::alignTo(layout.size, 64) + 64) <= kMemoryTogether &&
        (widen(function, layout, width, true) || widen(function, layout, width, false)))
      return width;
  return 1;
}

} // namespace metalwright::simt
