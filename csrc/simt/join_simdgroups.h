// All simdgroups of a threadgroup in one vector program, so that a barrier between them costs
// nothing: each operation is done for the first, the second, and so on.
#pragma once

#include "simt/lane_function.h"

#include <llvm/IR/Function.h>

namespace metalwright::simt {

// Joins them where all take the same way through the program: every barrier is reached by all 32
// lanes, and no branch depends on what differs between simdgroups (the index, private memory,
// atomic operations, what was computed from them). Between two barriers of one block the first
// simdgroup goes first, as without this pass; what is the same for all is done once. Loads at the
// same address are the same for all unless a thread writes there between the same two barriers:
// a race, of which nothing is promised.
//
// Requires: a SimdgroupEntry that the vector builder made and that was optimised.
// Guarantees: true if it changed the function: then one call of it with the first simdgroup's state
// runs the threadgroup, it has no barriers, and it should be optimised again.
bool join_simdgroups(llvm::Function& function, const Shape& shape);

} // namespace metalwright::simt
