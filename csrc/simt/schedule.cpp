// Finds where lanes may wait, and which blocks share their mask.
#include "simt/schedule.h"

#include "simt/loop_order.h"

#include <llvm/IR/CFG.h>

namespace metalwright::simt {

using llvm::BasicBlock;

Schedule::Schedule(llvm::Function& function, const llvm::DominatorTree& dominators,
                   const llvm::LoopInfo& loops,
                   const std::function<bool(const llvm::BranchInst&)>& is_divergent)
    : loops_(loops), blocks_(loop_order(function, loops)) {
  // The end comes last, also when something runs for ever beside it.
  const auto end = llvm::find_if(blocks_, [](BasicBlock* block) {
    return llvm::isa<llvm::ReturnInst>(block->getTerminator());
  });
  if (end != blocks_.end())
    std::rotate(end, end + 1, blocks_.end());
  for (unsigned i = 0; i < blocks_.size(); ++i) {
    index_[blocks_[i]] = i;
    const auto* branch = llvm::dyn_cast<llvm::BranchInst>(blocks_[i]->getTerminator());
    divergent_.push_back(branch && branch->isConditional() && is_divergent(*branch));
  }
  const std::size_t nodes = 2 * blocks_.size();
  pending_.assign(nodes, llvm::BitVector(nodes));
  waiting_.assign(nodes, llvm::BitVector(nodes));
  tested_.resize(nodes);
  reached_.resize(nodes);
  find_pending();
  find_masks(dominators);
}

bool Schedule::is_divergent(const BasicBlock* block) const {
  return divergent_[index_.lookup(block)];
}

Schedule::Node Schedule::target(const BasicBlock* from, const BasicBlock* to) const {
  const unsigned source = index_.lookup(from);
  const unsigned sink = index_.lookup(to);
  return sink <= source ? 2 * source + 1 : 2 * sink;
}

// ------------------------------------------------------------------------------ pending lanes

// All lanes wait somewhere in `waiting`, so the last candidate needs no test.
Schedule::Step Schedule::next(llvm::BitVector waiting, std::optional<Node> sure) const {
  const auto first = static_cast<Node>(waiting.find_first());
  return {first, !(sure == first) && waiting.find_next(first) != -1};
}

Schedule::Step Schedule::after(const BasicBlock* from, const BasicBlock* to) const {
  const Node node = target(from, to);
  llvm::BitVector waiting = pending_[node_of(from)];
  waiting.set(node);
  return next(waiting, node);
}

Schedule::Step Schedule::after_parting(const BasicBlock* from) const {
  llvm::BitVector waiting = pending_[node_of(from)];
  for (const BasicBlock* to : llvm::successors(from))
    waiting.set(target(from, to));
  return next(waiting, std::nullopt);
}

Schedule::Step Schedule::after_way_back(const BasicBlock* latch) const {
  // The header comes before everything that is pending outside.
  return {node_of(loops_.getLoopFor(latch)->getHeader()), false};
}

Schedule::Step Schedule::after_failed_test(Node node) const {
  return next(waiting_[node], std::nullopt);
}

// Control gets to the step with lanes waiting there and elsewhere; true if that was news.
bool Schedule::reach(Step step, llvm::BitVector waiting) {
  waiting.reset(step.node);
  llvm::BitVector& known = step.is_test ? waiting_[step.node] : pending_[step.node];
  bool news = step.is_test ? !tested_.test(step.node) : !reached_.test(step.node);
  (step.is_test ? tested_ : reached_).set(step.node);
  llvm::BitVector added = waiting;
  added.reset(known);
  news |= added.any();
  known |= waiting;
  return news;
}

void Schedule::find_pending() {
  reached_.set(0);
  for (bool changed = true; changed;) {
    changed = false;
    for (unsigned i = 0; i < blocks_.size(); ++i) {
      BasicBlock* block = blocks_[i];
      const Node node = 2 * i;
      auto from_test = [&](Node tested) {
        if (!tested_.test(tested))
          return;
        llvm::BitVector waiting = waiting_[tested];
        waiting.set(tested);
        changed |= reach({tested, false}, waiting);
        changed |= reach(after_failed_test(tested), waiting_[tested]);
      };
      from_test(node);
      if (reached_.test(node)) {
        if (divergent_[i]) {
          llvm::BitVector waiting = pending_[node];
          for (const BasicBlock* to : llvm::successors(block))
            waiting.set(target(block, to));
          changed |= reach(after_parting(block), waiting);
        } else {
          for (const BasicBlock* to : llvm::successors(block)) {
            llvm::BitVector waiting = pending_[node];
            waiting.set(target(block, to));
            changed |= reach(after(block, to), waiting);
          }
        }
      }
      from_test(node + 1);
      if (reached_.test(node + 1)) {
        const Step step = after_way_back(block);
        llvm::BitVector waiting = pending_[node + 1];
        changed |= reach(step, waiting);
      }
    }
  }
}

bool Schedule::joins(const BasicBlock* from, const BasicBlock* to) const {
  return pending_[node_of(from)].test(target(from, to));
}

bool Schedule::has_joins(const BasicBlock* block) const {
  return llvm::any_of(llvm::predecessors(block),
                      [&](const BasicBlock* from) { return joins(from, block); });
}

bool Schedule::has_pending_work(const BasicBlock* block) const {
  const llvm::BitVector& pending = pending_[node_of(block)];
  for (const unsigned node : pending.set_bits())
    if (node != 2 * (blocks_.size() - 1))
      return true;
  return false;
}

// ------------------------------------------------------------------------------ masks

void Schedule::find_masks(const llvm::DominatorTree& dominators) {
  const llvm::PostDominatorTree post_dominators(*blocks_.front()->getParent());
  // A header is first taken to have the mask of what leads to the loop; that holds if every lane of
  // an iteration goes on to the next. Where it does not, all is found again without the assumption.
  llvm::DenseMap<const BasicBlock*, bool> refuted;
  for (bool again = true; again;) {
    again = false;
    mask_.clear();
    for (const BasicBlock* block : blocks_) {
      const llvm::Loop* loop = loops_.getLoopFor(block);
      if (loop && loop->getHeader() == block && refuted.lookup(block))
        mask_[block] = block;
      else
        mask_[block] = find_mask(block, dominators, post_dominators);
    }
    for (const BasicBlock* block : blocks_) {
      const llvm::Loop* loop = loops_.getLoopFor(block);
      if (!loop || loop->getHeader() != block || refuted.lookup(block) || mask_[block] == block)
        continue;
      const BasicBlock* latch = loop->getLoopLatch();
      if (mask_[latch] != mask_[block] || is_divergent(latch)) {
        refuted[block] = true;
        again = true;
      }
    }
  }
}

const BasicBlock* Schedule::find_mask(const BasicBlock* block,
                                      const llvm::DominatorTree& dominators,
                                      const llvm::PostDominatorTree& post_dominators) const {
  if (block == blocks_.front())
    return block;
  const llvm::Loop* loop = loops_.getLoopFor(block);
  const bool is_header = loop && loop->getHeader() == block;
  // Every way in is taken by all lanes of one mask.
  const BasicBlock* common = nullptr;
  for (const BasicBlock* from : llvm::predecessors(block)) {
    if (is_header && loop->contains(from))
      continue; // checked by the caller
    const BasicBlock* mask = mask_.lookup(from);
    if (is_divergent(from) || joins(from, block) || !mask || (common && common != mask)) {
      common = nullptr;
      break;
    }
    common = mask;
  }
  if (common)
    return common;
  if (is_header)
    return block;
  // All lanes that come through a dominating block come here, in the same iteration.
  const auto* node = dominators.getNode(block);
  for (node = node ? node->getIDom() : nullptr; node; node = node->getIDom()) {
    const BasicBlock* before = node->getBlock();
    if (loops_.getLoopFor(before) != loop) {
      if (!loop || loop->contains(before))
        continue; // in a loop between them
      break;
    }
    if (post_dominators.dominates(block, before) &&
        (!loop || dominators.dominates(block, loop->getLoopLatch())))
      return mask_.lookup(before);
    break;
  }
  return block;
}

} // namespace metalwright::simt
