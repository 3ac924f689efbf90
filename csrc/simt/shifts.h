// Shifts by the width or more, which C leaves undefined and Metal takes modulo the width.
#pragma once

#include <llvm/IR/Function.h>

namespace metalwright::simt {

// Guarantees: every shl, lshr and ashr of the function shifts by the lowest bits of its amount, as
// many as number the bits of the type. (Apple's compiler masks in the AIR already: such shifts, and
// amounts that are known to be small, stay as they are. On x86 the mask of a scalar shift costs
// nothing.) Must run before any optimisation, which would take a large amount for impossible.
void define_shifts(llvm::Function& function);

} // namespace metalwright::simt
