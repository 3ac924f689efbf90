// bfloat as a storage format: its arithmetic in float, its values as 16-bit integers.
#pragma once

#include <llvm/IR/Function.h>

namespace metalwright::simt {

// Guarantees: no instruction of the function has a bfloat type or operand but calls that remain
// (their arguments and results are bitcast at the call). Each operation computes in float and
// rounds to nearest even, as Apple's GPUs do; NaNs stay NaNs; denormals are kept. Hosts differ in
// their bfloat instructions (some flush denormals, some have none and would call a library function
// per element): integer code is the same everywhere and vectorises.
void lower_bfloat(llvm::Function& function);

} // namespace metalwright::simt
