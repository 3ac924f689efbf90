// In which order a simdgroup runs the blocks of a function when its lanes take different ways.
//
// Blocks stand in the order of loop_order.h. Lanes wait at the block that they go to next, and the
// first block in the order at which lanes wait runs, with exactly those lanes as its mask; so no
// block ever runs for nobody. A lane that goes round a loop waits at a place of its own behind the
// loop's last block (its latch). This is the rule of sites.h, block by block.
//
// What is decided here, before any code is made: at which blocks lanes may be waiting while a block
// runs (`pending`), so that code tests only for those.
#pragma once

#include <llvm/ADT/BitVector.h>
#include <llvm/ADT/DenseMap.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/PostDominators.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/Instructions.h>

#include <functional>
#include <optional>
#include <vector>

namespace metalwright::simt {

class Schedule {
 public:
  // Node 2i is the i-th block, node 2i + 1 the way back from it to its loop's header.
  using Node = unsigned;

  // Where control goes after a block: straight to `node`, or to the test whether lanes wait there.
  struct Step {
    Node node = 0;
    bool is_test = false;
  };

  // Requires: reducible control flow with branches only, loops in simplified form, one returning
  // block. `is_divergent` says of a conditional branch whether lanes may part there.
  Schedule(llvm::Function& function, const llvm::DominatorTree& dominators,
           const llvm::LoopInfo& loops,
           const std::function<bool(const llvm::BranchInst&)>& is_divergent);

  const std::vector<llvm::BasicBlock*>& blocks() const { return blocks_; }
  Node node_of(const llvm::BasicBlock* block) const { return 2 * index_.lookup(block); }
  // The node that a lane on this edge goes to.
  Node target(const llvm::BasicBlock* from, const llvm::BasicBlock* to) const;
  bool is_divergent(const llvm::BasicBlock* block) const;

  Step after(const llvm::BasicBlock* from, const llvm::BasicBlock* to) const; // every lane goes
  Step after_parting(const llvm::BasicBlock* from) const;                     // some lanes each
  Step after_way_back(const llvm::BasicBlock* latch) const;
  Step after_failed_test(Node node) const;
  bool is_tested(Node node) const { return tested_.test(node); }

  // Lanes may already wait at `to` when others go there from `from`.
  bool joins(const llvm::BasicBlock* from, const llvm::BasicBlock* to) const;
  // Some edge into the block joins() others.
  bool has_joins(const llvm::BasicBlock* block) const;
  // While the block runs, lanes wait elsewhere than at the end.
  bool has_pending_work(const llvm::BasicBlock* block) const;

  // The block whose mask this block's mask always is: itself, unless a dominating one is known.
  const llvm::BasicBlock* mask_of(const llvm::BasicBlock* block) const {
    return mask_.lookup(block);
  }

 private:
  Step next(llvm::BitVector waiting, std::optional<Node> sure) const;
  void find_pending();
  bool reach(Step step, llvm::BitVector waiting);
  void find_masks(const llvm::DominatorTree& dominators);
  const llvm::BasicBlock* find_mask(const llvm::BasicBlock* block,
                                    const llvm::DominatorTree& dominators,
                                    const llvm::PostDominatorTree& post_dominators) const;

  const llvm::LoopInfo& loops_;
  std::vector<llvm::BasicBlock*> blocks_;
  llvm::DenseMap<const llvm::BasicBlock*, unsigned> index_;
  std::vector<bool> divergent_;          // by block
  std::vector<llvm::BitVector> pending_; // by node: while it runs
  std::vector<llvm::BitVector> waiting_; // by node: when it is tested, besides itself
  llvm::BitVector tested_;
  llvm::BitVector reached_;
  llvm::DenseMap<const llvm::BasicBlock*, const llvm::BasicBlock*> mask_;
};

} // namespace metalwright::simt
