// LLVM's verifier and AIR's own rules.
#include "air/verify.h"

#include <llvm/IR/InstrTypes.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>

#include <cstdio>
#include <cstdlib>

namespace metalwright::air {

static std::string print(const llvm::Value& value) {
  std::string text;
  llvm::raw_string_ostream(text) << value;
  return text;
}

std::string find_violation(const llvm::Module& module) {
  std::string message;
  llvm::raw_string_ostream stream(message);
  bool broken_debug_info = false; // wrong debug information is dropped, not an error
  if (llvm::verifyModule(module, &stream, &broken_debug_info))
    return message;
  for (const llvm::Function& function : module) {
    if (!function.getName().starts_with("air."))
      continue;
    if (!function.isDeclaration())
      return "'" + function.getName().str() + "' is an intrinsic, but it has a body";
    if (function.getReturnType()->isAggregateType())
      continue; // some families return pairs
    for (const llvm::Use& use : function.uses()) {
      const auto* call = llvm::dyn_cast<llvm::CallBase>(use.getUser());
      if (!call || !call->isCallee(&use))
        return "the address of the intrinsic '" + function.getName().str() +
               "' is taken: " + print(*use.getUser());
      if (call->getFunctionType() != function.getFunctionType())
        return "the call has another type than the intrinsic: " + print(*call);
    }
  }
  return {};
}

void verify_after([[maybe_unused]] const llvm::Module& module, [[maybe_unused]] const char* pass) {
#ifndef NDEBUG
  std::string violation = find_violation(module);
  if (violation.empty())
    return;
  std::fprintf(stderr, "metalwright: broken invariant: after %s: %s\n", pass, violation.c_str());
  std::abort();
#endif
}

} // namespace metalwright::air
