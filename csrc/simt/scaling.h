// Multiplications by a power of two become the machine's own instruction for that.
#pragma once

#include <llvm/IR/Function.h>
#include <llvm/Target/TargetMachine.h>

namespace metalwright::simt {

// `p * 2^h * 2^(n - h)` of vectors, where the second product bears kScalingMark
// (maths_library.h): AVX-512 scales by 2^n at once. The mark says that the first product is exact,
// so both round once and results are the same bits. Elsewhere, nothing changes.
void use_scaling_instructions(llvm::Function& function, llvm::TargetMachine& target);

} // namespace metalwright::simt
