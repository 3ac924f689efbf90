// Constants that are chosen by how large a number is.
#pragma once

#include <llvm/IR/Function.h>

namespace metalwright::simt {

// The maths library has no branches: for an angle of 2^47 and more it selects other constants, with
// twelve of the hundred instructions of a sine of 16 floats. In vector code such choices, by
// magnitudes from 2^40 on, are made behind a branch: whether any element is as large.
//
// Requires: vector code that nothing else of this engine looks at. Guarantees: the same values.
void branch_at_rare_magnitudes(llvm::Function& function);

} // namespace metalwright::simt
