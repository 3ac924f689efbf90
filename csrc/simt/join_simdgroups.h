// All simdgroups of a threadgroup in one vector program, so that a barrier between them costs
// nothing.
#pragma once

#include "simt/lane_function.h"

#include <llvm/IR/Function.h>

namespace metalwright::simt {

// Joins them as join_side_by_side() does, if every barrier is reached by all 32 lanes. Between two
// barriers of one block the first simdgroup goes first, as without this pass. Programs without
// barriers are joined if they have a loop: then neighbours read what lies side by side in memory,
// and what all of them read is read once. `may_part`: branches that simdgroups take differently may
// be taken by one after the other, in a copy for each.
//
// Requires: a SimdgroupEntry that the vector builder made and that was optimised.
// Guarantees: true if it changed the function: then one call of it with the first simdgroup's state
// runs the threadgroup, it has no barriers, and it should be optimised again.
bool join_simdgroups(llvm::Function& function, const Shape& shape, bool may_part);

} // namespace metalwright::simt
