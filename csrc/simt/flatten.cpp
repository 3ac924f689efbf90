// If-conversion of acyclic regions.
#include "simt/flatten.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/DenseSet.h>
#include <llvm/ADT/PostOrderIterator.h>
#include <llvm/Analysis/PostDominators.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/CFG.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/IntrinsicsX86.h>

#include <optional>
#include <vector>

namespace metalwright::simt {

namespace {

// More than the longest function of the maths library has on both of its ways.
constexpr std::size_t kMostInstructions = 400;

struct Ways {
  std::vector<llvm::BasicBlock*> blocks; // in topological order, without both ends
  llvm::BasicBlock* end = nullptr;
};

bool may_run_for_nothing(const llvm::BasicBlock& block) {
  if (!llvm::isa<llvm::BranchInst>(block.getTerminator()))
    return false;
  return llvm::all_of(block, [](const llvm::Instruction& instruction) {
    const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
    return instruction.isTerminator() || llvm::isa<llvm::PHINode>(instruction) ||
           // The machine's, of which LLVM does not know it.
           (call && call->getIntrinsicID() == llvm::Intrinsic::x86_avx512_mask_scalef_ps_512) ||
           (!instruction.mayReadOrWriteMemory() &&
            llvm::isSafeToSpeculativelyExecute(&instruction));
  });
}

std::optional<Ways> ways_from(llvm::BasicBlock& block) {
  const auto* branch = llvm::dyn_cast<llvm::BranchInst>(block.getTerminator());
  if (!branch || !branch->isConditional())
    return std::nullopt;
  const llvm::PostDominatorTree post_dominators(*block.getParent());
  const llvm::DomTreeNode* node = post_dominators.getNode(&block);
  Ways ways;
  ways.end = node && node->getIDom() ? node->getIDom()->getBlock() : nullptr;
  if (!ways.end || ways.end == &block)
    return std::nullopt;
  llvm::DenseSet<llvm::BasicBlock*> inside;
  std::vector<llvm::BasicBlock*> open{&block};
  std::size_t instructions = 0;
  while (!open.empty()) {
    llvm::BasicBlock* from = open.back();
    open.pop_back();
    for (llvm::BasicBlock* next : llvm::successors(from)) {
      if (next == &block)
        return std::nullopt; // a loop
      if (next == ways.end || !inside.insert(next).second)
        continue;
      instructions += next->size();
      if (!may_run_for_nothing(*next) || instructions > kMostInstructions)
        return std::nullopt;
      open.push_back(next);
    }
  }
  // Each after all that lead to it, who must all be of the region; what is left over is a loop.
  llvm::DenseSet<llvm::BasicBlock*> done{&block};
  for (bool again = true; again;) {
    again = false;
    for (llvm::BasicBlock* next : inside) {
      if (done.contains(next) ||
          !llvm::all_of(llvm::predecessors(next),
                        [&](llvm::BasicBlock* from) { return done.contains(from); }))
        continue;
      done.insert(next);
      ways.blocks.push_back(next);
      again = true;
    }
  }
  return ways.blocks.size() == inside.size() ? std::optional(ways) : std::nullopt;
}

} // namespace

std::optional<std::vector<llvm::BasicBlock*>> blocks_to_flatten(llvm::BasicBlock& block) {
  std::optional<Ways> ways = ways_from(block);
  return ways ? std::optional(std::move(ways->blocks)) : std::nullopt;
}

void flatten(llvm::BasicBlock& block) {
  const Ways ways = *ways_from(block);
  llvm::Instruction* end = block.getTerminator();
  llvm::IRBuilder<> builder(end);
  // Whether a block runs, and whether an edge is taken.
  llvm::DenseMap<llvm::BasicBlock*, llvm::Value*> runs{{&block, builder.getTrue()}};
  auto taken = [&](llvm::BasicBlock* from, llvm::BasicBlock* to) -> llvm::Value* {
    auto* branch = llvm::cast<llvm::BranchInst>(from->getTerminator());
    if (!branch->isConditional() || branch->getSuccessor(0) == branch->getSuccessor(1))
      return runs.lookup(from);
    llvm::Value* condition = branch->getCondition();
    if (branch->getSuccessor(0) != to)
      condition = builder.CreateNot(condition);
    return builder.CreateLogicalAnd(runs.lookup(from), condition);
  };
  // Of a phi in a region's block or at its end, what comes from the region.
  auto selected = [&](llvm::PHINode& phi, llvm::ArrayRef<llvm::BasicBlock*> from) {
    llvm::Value* value = nullptr;
    for (llvm::BasicBlock* block : from) {
      llvm::Value* incoming = phi.getIncomingValueForBlock(block);
      value =
          value ? builder.CreateSelect(taken(block, phi.getParent()), incoming, value) : incoming;
    }
    return value;
  };
  auto predecessors_of = [](llvm::BasicBlock* to) {
    std::vector<llvm::BasicBlock*> found;
    for (llvm::BasicBlock* from : llvm::predecessors(to))
      if (!llvm::is_contained(found, from))
        found.push_back(from);
    return found;
  };
  for (llvm::BasicBlock* next : ways.blocks) {
    const std::vector<llvm::BasicBlock*> from = predecessors_of(next);
    llvm::Value* any = nullptr;
    for (llvm::BasicBlock* before : from) {
      llvm::Value* edge = taken(before, next);
      any = any ? builder.CreateLogicalOr(any, edge) : edge;
    }
    runs[next] = any;
    for (llvm::Instruction& instruction : llvm::make_early_inc_range(*next)) {
      if (instruction.isTerminator())
        continue;
      if (auto* phi = llvm::dyn_cast<llvm::PHINode>(&instruction)) {
        phi->replaceAllUsesWith(selected(*phi, from));
        phi->eraseFromParent();
        continue;
      }
      // Where it would not have run it may give poison, which is not selected.
      instruction.moveBefore(end);
    }
  }
  std::vector<llvm::BasicBlock*> from;
  for (llvm::BasicBlock* before : predecessors_of(ways.end))
    if (before == &block || llvm::is_contained(ways.blocks, before))
      from.push_back(before);
  for (llvm::PHINode& phi : ways.end->phis()) {
    llvm::Value* value = selected(phi, from);
    for (llvm::BasicBlock* before : from)
      while (phi.getBasicBlockIndex(before) >= 0)
        phi.removeIncomingValue(before, false);
    phi.addIncoming(value, &block);
  }
  builder.CreateBr(ways.end);
  end->eraseFromParent();
  for (llvm::BasicBlock* block : ways.blocks)
    block->dropAllReferences();
  for (llvm::BasicBlock* block : ways.blocks)
    block->eraseFromParent();
}

} // namespace metalwright::simt
