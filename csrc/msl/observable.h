// Code that the sanitiser can observe: variables stay in memory, only the library is simplified.
#pragma once

#include <llvm/IR/Module.h>

namespace metalwright::msl {

// Requires: internal functions are marked for inlining; functions carry debug locations.
// Guarantees: all calls are inlined and what is the standard library's own is in SSA form, so that
// constants reach the intrinsics; the variables of the program itself are where they were, with
// their lifetimes.
void make_observable(llvm::Module& module);

} // namespace metalwright::msl
