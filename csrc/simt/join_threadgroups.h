// A few threadgroups in one vector program: what does not depend on where the threadgroup lies in
// the grid is done once for all of them, and chains of operations that wait for each other, such as
// reductions, overlap.
#pragma once

#include "simt/lane_function.h"
#include "simt/thread_arguments.h"

#include <llvm/IR/Function.h>

namespace metalwright::simt {

struct ThreadgroupsTogether {
  unsigned count;         // how many there should be: half of kThreadgroupsTogether, or these
  bool can_merge_gathers; // no buffer has 4 GiB or more
};

// Joins neighbours along x, as join_side_by_side() does with flattening: a test whether any lane
// takes a way is mostly one whether any of some hundred elements is special. What they gather from
// neighbouring places is loaded together (join_gathers.h), and then it is worth joining as many as
// are allowed: each line of the cache serves more of them.
//
// Requires: a function that runs a whole threadgroup of `shape` in one call; `layout` is that of
// its static threadgroup memory, and it has no other.
// Guarantees: returns how many were joined, 1 if it did not change the function. Else a call runs
// the threadgroup whose context it is given and those behind it along x, for which the memory of
// threadgroups and of simdgroups suffices, and the function should be optimised again.
unsigned join_threadgroups(llvm::Function& function, const ThreadgroupLayout& layout,
                           const ThreadgroupsTogether& wanted);

} // namespace metalwright::simt
