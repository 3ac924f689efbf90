// A few threadgroups in one vector program: what does not depend on where the threadgroup lies in
// the grid is done once for all of them, and chains of operations that wait for each other, such as
// reductions, overlap.
#pragma once

#include "simt/lane_function.h"
#include "simt/thread_arguments.h"

#include <llvm/IR/Function.h>

namespace metalwright::simt {

// Joins `count` neighbours along x, at most kThreadgroupsTogether, as join_side_by_side() does with
// flattening: a test whether any lane takes a way is mostly one whether any of some hundred
// elements is special.
//
// Requires: a function that runs a whole threadgroup of `shape` in one call; `layout` is that of
// its static threadgroup memory, and it has no other.
// Guarantees: true if it changed the function: then a call runs the threadgroup whose context it is
// given and those behind it along x, for which the memory of threadgroups and of simdgroups
// suffices, and the function should be optimised again.
bool join_threadgroups(llvm::Function& function, const ThreadgroupLayout& layout, unsigned count);

} // namespace metalwright::simt
