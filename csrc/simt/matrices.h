// Simdgroup matrices: from 64-wide values to the two elements that a lane owns.
#pragma once

#include <llvm/IR/Function.h>

namespace metalwright::simt {

// Requires: no call has an operand or a result that is a vector of 64 (they are lowered).
// Guarantees: no instruction has a type <64 x T>; each such value is <2 x T>, loads and stores of
// one move its first two elements only. What other lanes own was never readable through it.
void narrow_matrices(llvm::Function& function);

} // namespace metalwright::simt
