// Integer arithmetic that C leaves undefined and a host traps on, made defined.
#pragma once

#include <llvm/IR/Function.h>

namespace metalwright::simt {

// Guarantees: no sdiv, udiv, srem or urem of the function traps: x / 0 is x, x % 0 is 0, and the
// smallest number divided by -1 is itself, remainder 0. (GPUs do not trap; MSL leaves the value
// open.) Must run before any optimisation, which would treat the division by zero as unreachable.
void define_division(llvm::Function& function);

} // namespace metalwright::simt
