// Loop splitting by the number of whole rounds.
#include "simt/stride_loops.h"

#include "simt/convergent_ops.h"

#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/PostDominators.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/PatternMatch.h>
#include <llvm/Transforms/Utils/Cloning.h>
#include <llvm/Transforms/Utils/LoopSimplify.h>

#include <optional>

namespace metalwright::simt {

std::vector<llvm::CallInst*> cuts_in(llvm::Function& function) {
  std::vector<llvm::CallInst*> found;
  if (llvm::Function* cut = function.getParent()->getFunction(kCutFunction))
    for (llvm::User* user : cut->users())
      if (auto* call = llvm::dyn_cast<llvm::CallInst>(user))
        if (call->getFunction() == &function)
          found.push_back(call);
  return found;
}

namespace {

// More would be in the way of the instruction cache, and of compile time.
constexpr std::size_t kMostInstructions = 200;

struct Stride {
  llvm::ICmpInst* compare = nullptr; // whether the round is done
  llvm::Value* bound = nullptr;      // n
  bool is_signed = false;
  std::uint64_t step = 0;
};

constexpr unsigned kDeepest = 6;
// With a longer one a counter may wrap at the end of a row that fits into memory.
constexpr std::uint64_t kLongestStep = 1 << 16;

// A value that the loop's header computes, in front of the loop: null if it changes.
llvm::Value* hoisted(llvm::Value* value, const llvm::Loop& loop, llvm::IRBuilder<>& builder,
                     unsigned depth = 0) {
  if (loop.isLoopInvariant(value))
    return value;
  auto* instruction = llvm::cast<llvm::Instruction>(value);
  const auto* load = llvm::dyn_cast<llvm::LoadInst>(instruction);
  if (depth == kDeepest || llvm::isa<llvm::PHINode>(instruction) ||
      (load ? !load->isSimple() || !load->hasMetadata(llvm::LLVMContext::MD_invariant_load)
            : instruction->mayReadOrWriteMemory() || instruction->mayHaveSideEffects()))
    return nullptr;
  std::vector<llvm::Value*> operands;
  for (llvm::Value* operand : instruction->operands())
    operands.push_back(hoisted(operand, loop, builder, depth + 1));
  if (llvm::is_contained(operands, nullptr))
    return nullptr;
  llvm::Instruction* clone = builder.Insert(instruction->clone());
  for (unsigned i = 0; i < operands.size(); ++i)
    clone->setOperand(i, operands[i]);
  return clone;
}

std::optional<Stride> find_stride(const llvm::Loop& loop, const llvm::DataLayout& layout) {
  llvm::BasicBlock* header = loop.getHeader();
  llvm::BasicBlock* latch = loop.getLoopLatch();
  auto* branch = llvm::dyn_cast<llvm::BranchInst>(header->getTerminator());
  // No other way out, and nothing that other threads wait for.
  if (!latch || latch == header || !branch || !branch->isConditional() ||
      loop.getExitingBlock() != header || loop.contains(branch->getSuccessor(1)) ||
      !loop.contains(branch->getSuccessor(0)) || !loop.isInnermost())
    return std::nullopt;
  Stride stride;
  stride.compare = llvm::dyn_cast<llvm::ICmpInst>(branch->getCondition());
  if (!stride.compare || !stride.compare->hasOneUse())
    return std::nullopt;
  llvm::CmpInst::Predicate predicate = stride.compare->getPredicate();
  llvm::Value* counter = stride.compare->getOperand(0);
  stride.bound = stride.compare->getOperand(1);
  if (predicate == llvm::CmpInst::ICMP_UGT || predicate == llvm::CmpInst::ICMP_SGT) {
    std::swap(counter, stride.bound);
    predicate = llvm::CmpInst::getSwappedPredicate(predicate);
  }
  if (predicate != llvm::CmpInst::ICMP_ULT && predicate != llvm::CmpInst::ICMP_SLT)
    return std::nullopt;
  stride.is_signed = predicate == llvm::CmpInst::ICMP_SLT;
  auto* phi = llvm::dyn_cast<llvm::PHINode>(counter);
  if (!phi || phi->getParent() != header || !phi->getType()->isIntegerTy(32))
    return std::nullopt;
  using namespace llvm::PatternMatch;
  if (!match(phi->getIncomingValueForBlock(latch),
             m_Add(m_Specific(phi), m_ConstantInt(stride.step))))
    return std::nullopt;
  if (stride.step == 0 || stride.step > kLongestStep)
    return std::nullopt;
  llvm::Value* start = phi->getIncomingValueForBlock(loop.getLoopPreheader());
  if (!llvm::computeKnownBits(start, layout).getMaxValue().ult(stride.step))
    return std::nullopt;
  std::size_t instructions = 0;
  for (llvm::BasicBlock* block : loop.blocks()) {
    instructions += block->size();
    for (llvm::Instruction& instruction : *block)
      if (auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction))
        if (convergent_op(*call))
          return std::nullopt;
  }
  return instructions <= kMostInstructions ? std::optional(stride) : std::nullopt;
}

void create_cut(llvm::IRBuilder<>& builder, bool is_begin) {
  llvm::Module& module = *builder.GetInsertBlock()->getModule();
  llvm::FunctionCallee callee = module.getOrInsertFunction(
      kCutFunction, llvm::FunctionType::get(builder.getVoidTy(), {builder.getInt1Ty()}, false));
  auto* function = llvm::cast<llvm::Function>(callee.getCallee());
  function->setDoesNotThrow();
  function->addFnAttr(llvm::Attribute::WillReturn);
  function->addFnAttr(llvm::Attribute::Convergent);
  function->addFnAttr(llvm::Attribute::NoDuplicate);
  function->setMemoryEffects(llvm::MemoryEffects::inaccessibleMemOnly());
  builder.CreateCall(callee, builder.getInt1(is_begin));
}

// Unrolled, each simdgroup would go through its part of the row by itself, which is memory in
// strides; and nothing is gained by it, since simdgroups go round together.
void keep_rolled(llvm::Instruction& way_back) {
  llvm::LLVMContext& context = way_back.getContext();
  way_back.setMetadata(
      llvm::LLVMContext::MD_loop,
      llvm::makePostTransformationMetadata(
          context, nullptr, {"llvm.loop.unroll."},
          {llvm::MDNode::get(context,
                             {llvm::MDString::get(context, "llvm.loop.unroll.disable")})}));
}

// Whether the loop need not be left through its header: that has no effects, and of what it
// computes only phis are used behind the loop.
bool can_end_anywhere(const llvm::Loop& loop) {
  const auto* way_back = llvm::dyn_cast<llvm::BranchInst>(loop.getLoopLatch()->getTerminator());
  if (!way_back || way_back->isConditional())
    return false;
  return llvm::all_of(*loop.getHeader(), [&](const llvm::Instruction& instruction) {
    return llvm::isa<llvm::PHINode>(instruction) ||
           (!instruction.mayHaveSideEffects() &&
            llvm::all_of(instruction.users(), [&](const llvm::User* user) {
              return loop.contains(llvm::cast<llvm::Instruction>(user));
            }));
  });
}

// Makes a branch of the loop, of which a thread goes at most one round, behind one that all threads
// go the same way at: `is_needed`, whether any goes that round.
// Requires: can_end_anywhere(), the loop is entered from `before` alone.
void go_round_once(llvm::Loop& loop, llvm::BasicBlock& before, llvm::Value* is_needed) {
  llvm::BasicBlock* header = loop.getHeader();
  llvm::BasicBlock* latch = loop.getLoopLatch();
  llvm::BasicBlock* exit = header->getTerminator()->getSuccessor(1);
  llvm::BasicBlock* met =
      llvm::BasicBlock::Create(header->getContext(), "met", header->getParent(), exit);
  llvm::IRBuilder<> builder(met);
  std::vector<std::pair<llvm::PHINode*, llvm::PHINode*>> results;
  for (llvm::PHINode& phi : header->phis()) {
    results.emplace_back(&phi, builder.CreatePHI(phi.getType(), 3));
    phi.replaceUsesWithIf(results.back().second, [&](llvm::Use& use) {
      return !loop.contains(llvm::cast<llvm::Instruction>(use.getUser()));
    });
  }
  for (const auto& [phi, result] : results) {
    result->addIncoming(phi->getIncomingValueForBlock(&before), &before);
    result->addIncoming(phi->getIncomingValueForBlock(&before), header);
    result->addIncoming(phi->getIncomingValueForBlock(latch), latch);
  }
  builder.CreateBr(exit);
  for (llvm::PHINode& phi : exit->phis())
    phi.replaceIncomingBlockWith(header, met);
  header->getTerminator()->setSuccessor(1, met);
  latch->getTerminator()->replaceSuccessorWith(header, met);
  llvm::Instruction* end = before.getTerminator();
  builder.SetInsertPoint(end);
  // Likely not, so that nobody computes masks before the branch.
  builder.CreateCondBr(is_needed, header, met,
                       llvm::MDBuilder(header->getContext()).createBranchWeights(1, 2000));
  end->eraseFromParent();
  // What one round ends with is what the next would begin with: there is none.
  for (const auto& [phi, result] : results) {
    phi->replaceAllUsesWith(phi->getIncomingValueForBlock(&before));
    phi->eraseFromParent();
  }
}

void split(llvm::Loop& loop, const Stride& stride) {
  llvm::BasicBlock* header = loop.getHeader();
  llvm::BasicBlock* latch = loop.getLoopLatch();
  llvm::BasicBlock* before = loop.getLoopPreheader();
  llvm::Function& function = *header->getParent();
  llvm::IRBuilder<> builder(before->getTerminator());
  llvm::Value* bound = hoisted(stride.bound, loop, builder);
  if (!bound)
    return;
  // Of n below zero there are no rounds.
  if (stride.is_signed)
    bound = builder.CreateBinaryIntrinsic(llvm::Intrinsic::smax, bound, builder.getInt32(0));
  llvm::Value* step = builder.getInt32(static_cast<std::uint32_t>(stride.step));
  llvm::Value* rounds = builder.CreateUDiv(bound, step, "rounds");
  create_cut(builder, true);
  llvm::ValueToValueMapTy map;
  llvm::SmallVector<llvm::BasicBlock*, 8> blocks;
  for (llvm::BasicBlock* block : loop.blocks()) {
    llvm::BasicBlock* copy = llvm::CloneBasicBlock(block, map, ".all", &function);
    copy->moveBefore(header);
    map[block] = copy;
    blocks.push_back(copy);
  }
  llvm::BasicBlock* rest =
      llvm::BasicBlock::Create(function.getContext(), "rest", &function, header);
  llvm::remapInstructionsInBlocks(blocks, map);
  auto* first = llvm::cast<llvm::BasicBlock>(map[header]);
  auto* last = llvm::cast<llvm::BasicBlock>(map[latch]);
  before->getTerminator()->replaceSuccessorWith(header, first);
  builder.SetInsertPoint(first, first->begin());
  llvm::PHINode* round = builder.CreatePHI(builder.getInt32Ty(), 2, "round");
  auto* branch = llvm::cast<llvm::BranchInst>(first->getTerminator());
  builder.SetInsertPoint(branch);
  branch->setCondition(builder.CreateICmpULT(round, rounds));
  branch->setSuccessor(1, rest);
  builder.SetInsertPoint(last->getTerminator());
  round->addIncoming(builder.getInt32(0), before);
  round->addIncoming(builder.CreateAdd(round, builder.getInt32(1), "", true, true), last);
  keep_rolled(*last->getTerminator());
  builder.SetInsertPoint(rest);
  create_cut(builder, false);
  builder.CreateBr(header);
  for (llvm::PHINode& phi : header->phis()) {
    phi.setIncomingValueForBlock(before, map[&phi]);
    phi.replaceIncomingBlockWith(before, rest);
  }
  if (!can_end_anywhere(loop))
    return;
  llvm::Instruction* to_rest = rest->getTerminator();
  builder.SetInsertPoint(to_rest);
  go_round_once(loop, *rest, builder.CreateICmpNE(builder.CreateMul(rounds, step), bound));
}

} // namespace

llvm::PreservedAnalyses SplitStrideLoops::run(llvm::Function& function,
                                              llvm::FunctionAnalysisManager& analyses) {
  auto& dominators = analyses.getResult<llvm::DominatorTreeAnalysis>(function);
  auto& loops = analyses.getResult<llvm::LoopAnalysis>(function);
  auto& post_dominators = analyses.getResult<llvm::PostDominatorTreeAnalysis>(function);
  auto is_passed_once = [&](llvm::BasicBlock* block) {
    return post_dominators.dominates(block, &function.getEntryBlock());
  };
  bool has_barrier = false;
  for (llvm::Instruction& instruction : llvm::instructions(function))
    if (auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction))
      if (const auto op = convergent_op(*call);
          op && op->kind == ConvergentOp::Kind::threadgroup_barrier) {
        has_barrier = true;
        if (loops.getLoopFor(call->getParent()) || !is_passed_once(call->getParent()))
          return llvm::PreservedAnalyses::all();
      }
  if (!has_barrier)
    return llvm::PreservedAnalyses::all();
  const std::vector<llvm::Loop*> top_level(loops.begin(), loops.end());
  bool has_changed = false;
  for (llvm::Loop* loop : top_level)
    has_changed |= llvm::simplifyLoop(loop, &dominators, &loops, nullptr, nullptr, nullptr, false);
  std::vector<std::pair<llvm::Loop*, Stride>> found;
  for (llvm::Loop* loop : top_level)
    if (loop->getLoopPreheader() && is_passed_once(loop->getHeader()))
      if (const auto stride = find_stride(*loop, function.getDataLayout()))
        found.emplace_back(loop, *stride);
  for (const auto& [loop, stride] : found)
    split(*loop, stride);
  return has_changed || !found.empty() ? llvm::PreservedAnalyses::none()
                                       : llvm::PreservedAnalyses::all();
}

} // namespace metalwright::simt
