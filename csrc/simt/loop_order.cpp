// Orders blocks loop by loop.
#include "simt/loop_order.h"

#include <llvm/ADT/PostOrderIterator.h>
#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/Analysis/AssumptionCache.h>
#include <llvm/Analysis/CFG.h>
#include <llvm/Analysis/LazyValueInfo.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/PassInstrumentation.h>
#include <llvm/IR/PassManager.h>
#include <llvm/Transforms/Utils/FixIrreducible.h>
#include <llvm/Transforms/Utils/LowerSwitch.h>

namespace metalwright::simt {

namespace {

// Blocks in a topological order that keeps every loop contiguous.
class LoopOrder {
 public:
  LoopOrder(llvm::Function& function, const llvm::LoopInfo& loops) : loops_(loops) {
    order_region(nullptr, &function.getEntryBlock());
  }
  const std::vector<llvm::BasicBlock*>& blocks() const { return blocks_; }

 private:
  // What stands for `block` in the region of `loop`: itself, or the header of the loop just inside.
  const llvm::Loop* child_of(const llvm::Loop* loop, const llvm::BasicBlock* block) const {
    const llvm::Loop* inner = loops_.getLoopFor(block);
    if (inner == loop)
      return nullptr;
    while (inner->getParentLoop() != loop)
      inner = inner->getParentLoop();
    return inner;
  }

  void order_region(const llvm::Loop* loop, llvm::BasicBlock* entry) {
    llvm::SmallPtrSet<llvm::BasicBlock*, 32> seen{entry};
    std::vector<llvm::BasicBlock*> finished; // nodes in post-order
    struct Frame {
      llvm::BasicBlock* node;
      llvm::SmallVector<llvm::BasicBlock*, 4> successors;
    };
    auto open = [&](llvm::BasicBlock* node) {
      Frame frame{node, {}};
      if (const llvm::Loop* child = child_of(loop, node))
        child->getUniqueExitBlocks(frame.successors);
      else
        frame.successors.append(llvm::succ_begin(node), llvm::succ_end(node));
      return frame;
    };
    std::vector<Frame> stack{open(entry)};
    while (!stack.empty()) {
      if (stack.back().successors.empty()) {
        finished.push_back(stack.back().node);
        stack.pop_back();
        continue;
      }
      llvm::BasicBlock* next = stack.back().successors.pop_back_val();
      if ((loop && !loop->contains(next)) || next == entry)
        continue; // out of the region, or round its loop
      if (const llvm::Loop* child = child_of(loop, next))
        next = child->getHeader();
      if (seen.insert(next).second)
        stack.push_back(open(next));
    }
    for (llvm::BasicBlock* node : llvm::reverse(finished)) {
      if (const llvm::Loop* child = child_of(loop, node))
        order_region(child, node);
      else
        blocks_.push_back(node);
    }
  }

  const llvm::LoopInfo& loops_;
  std::vector<llvm::BasicBlock*> blocks_;
};

} // namespace

void make_reducible(llvm::Function& function) {
  const llvm::DominatorTree dominators(function);
  const llvm::LoopInfo loops(dominators);
  const llvm::ReversePostOrderTraversal<const llvm::Function*> order(&function);
  if (!llvm::containsIrreducibleCFG<const llvm::BasicBlock*>(order, loops))
    return;
  llvm::FunctionAnalysisManager analyses;
  analyses.registerPass([] { return llvm::DominatorTreeAnalysis(); });
  analyses.registerPass([] { return llvm::LoopAnalysis(); });
  analyses.registerPass([] { return llvm::AssumptionAnalysis(); });
  analyses.registerPass([] { return llvm::LazyValueAnalysis(); });
  analyses.registerPass([] { return llvm::PassInstrumentationAnalysis(); });
  llvm::LowerSwitchPass().run(function, analyses);
  analyses.invalidate(function, llvm::PreservedAnalyses::none());
  llvm::FixIrreduciblePass().run(function, analyses);
}

std::vector<llvm::BasicBlock*> loop_order(llvm::Function& function, const llvm::LoopInfo& loops) {
  return LoopOrder(function, loops).blocks();
}

} // namespace metalwright::simt
