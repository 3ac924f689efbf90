// os_log: air.os_log.words to a call of the run time (cpu/runtime_log.h).
#include "simt/lowering.h"

#include <llvm/IR/Module.h>

namespace metalwright::simt {

llvm::Value* lower_os_log(Lowering& l) {
  if (l.argument_count() != 6 || !l.type()->isVoidTy() ||
      !l.argument(0)->getType()->isIntegerTy(32) || !l.argument(5)->getType()->isIntegerTy(32))
    return nullptr;
  llvm::SmallVector<llvm::Value*, 6> arguments(l.call.args());
  llvm::SmallVector<llvm::Type*, 6> types;
  for (unsigned i = 0; i < 6; ++i) {
    if (i > 0 && i < 5 && !arguments[i]->getType()->isPointerTy())
      return nullptr;
    types.push_back(arguments[i]->getType());
  }
  llvm::FunctionCallee callee = l.call.getModule()->getOrInsertFunction(
      "metalwright_os_log", llvm::FunctionType::get(l.type(), types, false));
  llvm::cast<llvm::Function>(callee.getCallee())->setDoesNotThrow();
  return l.builder.CreateCall(callee, arguments);
}

} // namespace metalwright::simt
