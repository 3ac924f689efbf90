// Threadgroups as the elements of vectors: where neighbouring threadgroups each walk down a column
// of their own, a row of it is one load for all of them, and a reduction of 32 lanes is 31
// operations on vectors, not shuffles.
#pragma once

#include "simt/thread_arguments.h"

#include <llvm/IR/Function.h>

namespace metalwright::simt {

// Makes a program for several threadgroups, neighbours along x, of one for a single threadgroup:
// each value that differs between them becomes a vector with an element for each, and each vector
// of lanes as many such vectors.
//
// Requires: what join_threadgroups() does; no buffer has 4 GiB or more; along x lies a multiple of
// `multiple` threadgroups.
// Guarantees: returns how many there are, kMostThreadgroups or kThreadgroupsTogether; then the
// function should be optimised again. 1 if it did not change the function: not where
// threadgroups would take different ways, where none of what differs is gathered from neighbouring
// places, or where lanes lie side by side in memory.
unsigned widen_threadgroups(llvm::Function& function, const ThreadgroupLayout& layout,
                            unsigned multiple);

} // namespace metalwright::simt
