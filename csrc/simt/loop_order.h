// The order of blocks that reconvergence follows: topological, with every loop in one piece.
#pragma once

#include <llvm/Analysis/LoopInfo.h>
#include <llvm/IR/Function.h>

#include <vector>

namespace metalwright::simt {

// Guarantees: control flow of the function is reducible (switches go where it was not).
void make_reducible(llvm::Function& function);

// Requires: reducible control flow. The reachable blocks so that, back edges aside, every block
// comes after those that lead to it, and the blocks of a loop follow each other without a gap,
// header first.
std::vector<llvm::BasicBlock*> loop_order(llvm::Function& function, const llvm::LoopInfo& loops);

} // namespace metalwright::simt
