// Finds the loops by the uniformity analysis, where what varies is what differs in a threadgroup.
#include "simt/shared_loops.h"

#include "simt/convergent_ops.h"
#include "simt/lane_analysis.h"
#include "simt/launch.h"
#include "simt/uniformity.h"

#include <llvm/Analysis/CFG.h>
#include <llvm/Analysis/PostDominators.h>
#include <llvm/Analysis/TargetTransformInfoImpl.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>

#include <optional>

namespace metalwright::simt {

namespace {

// Threads of a threadgroup, not lanes of a simdgroup, are what the analysis compares here.
class ThreadgroupTarget : public llvm::TargetTransformInfoImplCRTPBase<ThreadgroupTarget> {
  using Base = llvm::TargetTransformInfoImplCRTPBase<ThreadgroupTarget>;

 public:
  explicit ThreadgroupTarget(const llvm::DataLayout& layout) : Base(layout) {}

  bool hasBranchDivergence(const llvm::Function* = nullptr) const { return true; }
  bool isAlwaysUniform(const llvm::Value*) const { return false; }

  bool isSourceOfDivergence(const llvm::Value* value) const {
    if (const auto* load = llvm::dyn_cast<llvm::LoadInst>(value)) {
      // Of what all threads read at one address only the simdgroup's own state differs.
      const llvm::Value* object = llvm::getUnderlyingObject(load->getPointerOperand(), 12);
      return !load->isSimple() || object == load->getFunction()->getArg(2);
    }
    if (llvm::isa<llvm::AllocaInst, llvm::AtomicRMWInst, llvm::AtomicCmpXchgInst>(value))
      return true;
    const auto* call = llvm::dyn_cast<llvm::CallBase>(value);
    return call && !llvm::isa<llvm::IntrinsicInst>(call);
  }
};

class SharedLoops {
 public:
  SharedLoops(llvm::Function& function, llvm::DominatorTree& dominators, llvm::LoopInfo& loops,
              Remarks& remarks)
      : function_(function), dominators_(dominators), loops_(loops), remarks_(remarks),
        layout_(function.getParent()->getDataLayout()), post_dominators_(function) {}

  bool run() {
    llvm::SmallVector<llvm::Loop*, 4> candidates;
    for (llvm::Loop* loop : loops_)
      if (has_no_effect(*loop))
        candidates.push_back(loop);
    if (candidates.empty())
      return false;
    uniformity_.emplace(function_, dominators_, loops_, UniformityTarget<ThreadgroupTarget>::make);
    llvm::SmallVector<llvm::Loop*, 4> shared;
    for (llvm::Loop* loop : candidates)
      if (is_uniform(*loop) && all_threads_reach(*loop->getLoopPreheader()))
        shared.push_back(loop);
    bool changed = false;
    for (llvm::Loop* loop : shared)
      changed |= share(*loop);
    return changed;
  }

 private:
  // It only reads, and what it computes leaves through the phis of one block.
  static bool has_no_effect(const llvm::Loop& loop) {
    if (!loop.getLoopPreheader() || !loop.getUniqueExitBlock() || !loop.hasDedicatedExits() ||
        loop.getUniqueExitBlock()->phis().empty())
      return false;
    for (const llvm::BasicBlock* block : loop.blocks())
      for (const llvm::Instruction& instruction : *block) {
        const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
        if (instruction.mayWriteToMemory() || instruction.mayThrow() ||
            (call && (!llvm::isa<llvm::IntrinsicInst>(call) || call->isConvergent())))
          return false;
      }
    return true;
  }

  bool is_uniform(const llvm::Loop& loop) const {
    for (const llvm::BasicBlock* block : loop.blocks()) {
      if (uniformity_->schedule().is_divergent(block))
        return false;
      for (const llvm::Instruction& instruction : *block)
        if (uniformity_->is_varying(&instruction))
          return false;
    }
    for (const llvm::PHINode& phi : loop.getUniqueExitBlock()->phis())
      if (uniformity_->is_varying(&phi) || LaneAnalysis::is_matrix(phi.getType()) ||
          phi.getType()->isAggregateType() || phi.getType()->isIntegerTy(1))
        return false;
    return true;
  }

  // No branch at which threads part decides whether the block runs.
  bool all_threads_reach(llvm::BasicBlock& block) const {
    return llvm::none_of(uniformity_->schedule().blocks(), [&](llvm::BasicBlock* other) {
      return uniformity_->schedule().is_divergent(other) &&
             llvm::isPotentiallyReachable(other, &block, nullptr, &dominators_, &loops_) &&
             !post_dominators_.dominates(&block, other);
    });
  }

  // Vectors that go around the loop become scalars: several threadgroups' become new vectors later.
  static void split_vectors(llvm::Loop& loop) {
    llvm::SmallVector<llvm::PHINode*, 4> vectors;
    for (llvm::PHINode& phi : loop.getHeader()->phis())
      if (llvm::isa<llvm::FixedVectorType>(phi.getType()) &&
          !LaneAnalysis::is_matrix(phi.getType()))
        vectors.push_back(&phi);
    for (llvm::PHINode* phi : vectors) {
      auto* type = llvm::cast<llvm::FixedVectorType>(phi->getType());
      llvm::IRBuilder<> builder(&*loop.getHeader()->getFirstInsertionPt());
      llvm::SmallVector<llvm::PHINode*, 4> elements;
      llvm::Value* whole = llvm::PoisonValue::get(type);
      for (unsigned i = 0; i < type->getNumElements(); ++i) {
        elements.push_back(
            llvm::PHINode::Create(type->getElementType(), 2, "", phi->getIterator()));
        whole = builder.CreateInsertElement(whole, elements.back(), i);
      }
      for (unsigned k = 0; k < phi->getNumIncomingValues(); ++k) {
        builder.SetInsertPoint(phi->getIncomingBlock(k)->getTerminator());
        for (unsigned i = 0; i < elements.size(); ++i)
          elements[i]->addIncoming(builder.CreateExtractElement(phi->getIncomingValue(k), i),
                                   phi->getIncomingBlock(k));
      }
      phi->replaceAllUsesWith(whole);
      phi->eraseFromParent();
    }
  }

  bool share(llvm::Loop& loop) {
    llvm::BasicBlock* exit = loop.getUniqueExitBlock();
    std::uint64_t size = used_;
    llvm::SmallVector<std::pair<llvm::PHINode*, std::uint64_t>, 4> results;
    for (llvm::PHINode& phi : exit->phis()) {
      size = llvm::alignTo(size, layout_.getABITypeAlign(phi.getType()));
      results.emplace_back(&phi, size);
      size += layout_.getTypeAllocSize(phi.getType());
    }
    if (size > kSharedMemory)
      return false;
    used_ = size;
    split_vectors(loop);
    remarks_.push_back(remark_at(loop.getStartLoc(),
                                 "a loop in which all threads of the threadgroup compute the same: "
                                 "the first simdgroup runs it, the others read its results"));
    llvm::BasicBlock* preheader = loop.getLoopPreheader();
    llvm::BasicBlock* after = llvm::SplitBlock(exit, exit->getFirstNonPHI(), &dominators_, &loops_);
    llvm::IRBuilder<> before(preheader->getTerminator());
    llvm::Value* state = function_.getArg(2);
    auto member = [&](llvm::Type* type, std::size_t offset) {
      return before.CreateLoad(type, before.CreateConstGEP1_64(before.getInt8Ty(), state, offset));
    };
    llvm::Value* index = member(before.getInt32Ty(), offsetof(SimdgroupState, index));
    llvm::Value* memory = member(before.getPtrTy(), offsetof(SimdgroupState, shared));
    llvm::Instruction* old = preheader->getTerminator();
    before.CreateCondBr(before.CreateICmpEQ(index, before.getInt32(0)), loop.getHeader(), after);
    old->eraseFromParent();
    llvm::IRBuilder<> store(exit->getTerminator());
    llvm::IRBuilder<> load(&after->front());
    for (const auto& [phi, place] : results) {
      llvm::LoadInst* result =
          load.CreateLoad(phi->getType(), load.CreateConstGEP1_64(load.getInt8Ty(), memory, place));
      phi->replaceAllUsesWith(result);
      store.CreateStore(phi, store.CreateConstGEP1_64(store.getInt8Ty(), memory, place));
    }
    return true;
  }

  llvm::Function& function_;
  llvm::DominatorTree& dominators_;
  llvm::LoopInfo& loops_;
  Remarks& remarks_;
  const llvm::DataLayout& layout_;
  llvm::PostDominatorTree post_dominators_;
  std::optional<Uniformity> uniformity_;
  std::uint64_t used_ = 0; // bytes of SimdgroupState::shared
};

} // namespace

bool share_loops(llvm::Function& lane, llvm::DominatorTree& dominators, llvm::LoopInfo& loops,
                 const Shape& shape, Remarks& remarks) {
  if (shape.is_known() && shape.count() <= kSimdgroupSize)
    return false;
  return SharedLoops(lane, dominators, loops, remarks).run();
}

} // namespace metalwright::simt
