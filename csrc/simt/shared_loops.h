// Loops in which every simdgroup of a threadgroup computes the same: a sum or Welford's moments
// over threadgroup memory, by each thread for itself. On a GPU that is free; here a threadgroup of
// 1024 threads would do it 32 times.
#pragma once

#include "simt/lane_function.h"
#include "simt/remarks.h"

#include <llvm/Analysis/LoopInfo.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/Function.h>

namespace metalwright::simt {

// Runs such loops in the threadgroup's first simdgroup only, and passes the results on through
// SimdgroupState::shared.
//
// All simdgroups reach such a loop between the same two barriers, and the first one runs first
// (cpu/simdgroup_scheduler). What the loop reads can differ between them only if some thread writes
// it between these barriers while others read it: a race, of which nothing is promised.
//
// Requires: loops in simplified and LCSSA form, one returning block.
// Guarantees: a remark for each loop that is shared; true if something changed: then the analyses
// are out of date, and loops have to be brought into form again.
bool share_loops(llvm::Function& lane, llvm::DominatorTree& dominators, llvm::LoopInfo& loops,
                 const Shape& shape, Remarks& remarks);

} // namespace metalwright::simt
