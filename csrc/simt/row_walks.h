// Loops in which each lane walks along memory of its own, an element per round: a sum over a row
// per thread. Round by round that is a gather of 32 places; several rounds together are 32 short
// stretches of memory, which the vector builder reads whole and transposes.
#pragma once

#include "simt/remarks.h"

#include <llvm/Analysis/LoopInfo.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/Function.h>

namespace metalwright::simt {

// Unrolls such loops and joins their accesses to neighbouring elements into accesses of 16 bytes.
// `large_buffers`: as in LaneAnalysis; without them an index of 32 bits does not wrap between the
// rounds of a loop that access memory.
// Requires: loops in simplified and LCSSA form, one returning block.
// Guarantees: the order in which a lane computes stays. A remark for each loop that was unrolled.
// True if something changed: then the analyses are out of date, and loops have to be brought into
// form again.
bool join_row_walks(llvm::Function& lane, llvm::DominatorTree& dominators, llvm::LoopInfo& loops,
                    bool large_buffers, Remarks& remarks);

} // namespace metalwright::simt
