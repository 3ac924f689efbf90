// Blocks of the vector program: who waits where, who runs next.
#include "simt/vector_builder.h"

#include "simt/launch.h"

#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/SSAUpdater.h>

namespace metalwright::simt {

using llvm::BasicBlock;
using llvm::Value;

void VectorBuilder::declare() {
  function_ = llvm::Function::Create(source_.getFunctionType(), llvm::GlobalValue::ExternalLinkage,
                                     name_, module_);
  function_->addFnAttr(llvm::Attribute::NoUnwind);
  function_->setSubprogram(source_.getSubprogram());
  source_.setSubprogram(nullptr); // a function has its own
  for (unsigned i = 0; i < source_.arg_size(); ++i) {
    scalars_[source_.getArg(i)] = function_->getArg(i);
    function_->getArg(i)->addAttr(llvm::Attribute::NonNull);
  }
  entry_ = BasicBlock::Create(context_, "entry", function_);
  builder_.SetInsertPoint(entry_);
  if (is_full_) {
    initial_mask_ = llvm::ConstantInt::getTrue(wide(builder_.getInt1Ty()));
  } else {
    Value* address = builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), function_->getArg(2),
                                                         offsetof(SimdgroupState, lanes));
    llvm::SmallVector<llvm::Constant*, kLanes> numbers;
    for (unsigned i = 0; i < kLanes; ++i)
      numbers.push_back(builder_.getInt32(i));
    initial_mask_ =
        builder_.CreateICmpULT(llvm::ConstantVector::get(numbers),
                               splat(builder_.CreateLoad(builder_.getInt32Ty(), address)), "mask");
  }
  const std::size_t nodes = 2 * schedule_.blocks().size();
  run_.resize(nodes);
  test_.resize(nodes);
  waiting_masks_.resize(nodes);
  for (BasicBlock* block : schedule_.blocks()) {
    const Node node = schedule_.node_of(block);
    run_[node] = BasicBlock::Create(context_, block->getName(), function_);
    const llvm::Loop* loop = loops_.getLoopFor(block);
    if (loop && loop->getLoopLatch() == block)
      run_[node + 1] = BasicBlock::Create(context_, "again", function_);
  }
  build_phi_slots();
  for (BasicBlock* block : schedule_.blocks())
    for (const Node node : {schedule_.node_of(block), schedule_.node_of(block) + 1})
      if (run_[node] && needs_waiting_mask(node))
        waiting_mask(node);
  builder_.CreateBr(run_[0]);
}

bool VectorBuilder::needs_waiting_mask(Node node) const {
  if (schedule_.is_tested(node))
    return true;
  BasicBlock* block = schedule_.blocks()[node / 2];
  if (node % 2 == 1)
    return needs_waiting_mask(schedule_.node_of(loops_.getLoopFor(block)->getHeader()));
  return schedule_.mask_of(block) == block && node != 0;
}

// The lanes that wait at a node; nobody at first.
llvm::AllocaInst* VectorBuilder::waiting_mask(Node node) {
  if (!waiting_masks_[node]) {
    waiting_masks_[node] = slot(wide(builder_.getInt1Ty()));
    builder_.CreateStore(llvm::ConstantInt::getFalse(wide(builder_.getInt1Ty())),
                         waiting_masks_[node]);
  }
  return waiting_masks_[node];
}

void VectorBuilder::build_phi_slots() {
  for (BasicBlock* block : schedule_.blocks())
    for (llvm::PHINode& phi : block->phis()) {
      PhiSlots& slots = phis_[&phi];
      const Pattern& pattern = lanes_.pattern(&phi);
      if (!is_varying(&phi) || pattern.is_exact()) {
        if (LaneAnalysis::is_matrix(phi.getType()) && schedule_.has_joins(block))
          refuse(phi, "a simdgroup matrix depends on which threads took a branch");
        slots.scalar = slot(phi.getType());
        builder_.CreateStore(llvm::PoisonValue::get(phi.getType()), slots.scalar);
        continue;
      }
      llvm::SmallVector<llvm::Type*, 4> leaves;
      collect_leaves(phi.getType(), leaves);
      for (llvm::Type* leaf : leaves) {
        slots.parts.push_back(slot(wide(leaf)));
        builder_.CreateStore(llvm::PoisonValue::get(wide(leaf)), slots.parts.back());
      }
    }
}

// ------------------------------------------------------------------------------ blocks

void VectorBuilder::build_block(BasicBlock& block) {
  BasicBlock* last = &function_->back();
  builder_.SetInsertPoint(run_[schedule_.node_of(&block)]);
  enter_block(block);
  for (llvm::Instruction& instruction : block)
    if (!instruction.isTerminator())
      build_instruction(instruction);
  builder_.SetCurrentDebugLocation({});
  leave_block(block);
  for (last = last->getNextNode(); last; last = last->getNextNode())
    origin_.try_emplace(last, &block);
}

void VectorBuilder::enter_block(BasicBlock& block) {
  const Node node = schedule_.node_of(&block);
  llvm::Type* mask_type = wide(builder_.getInt1Ty());
  Value* waiting = nullptr;
  if (llvm::AllocaInst* slot = waiting_masks_[node]) {
    waiting = builder_.CreateLoad(mask_type, slot);
    builder_.CreateStore(llvm::ConstantInt::getFalse(mask_type), slot);
  }
  const BasicBlock* same = schedule_.mask_of(&block);
  mask_ = node == 0 ? initial_mask_ : same != &block ? masks_.lookup(same) : waiting;
  masks_[&block] = mask_;
  mask_bits_ = first_lane_ = nullptr;
  row_addresses_.clear();
  // At the start of an iteration nobody waits inside the loop, and nothing is left from the last
  // one. Saying so keeps these out of registers that live round the loop.
  const llvm::Loop* loop = loops_.getLoopFor(&block);
  if (loop && loop->getHeader() == &block)
    for (BasicBlock* inside : loop->blocks()) {
      if (inside == &block)
        continue;
      for (const Node other : {schedule_.node_of(inside), schedule_.node_of(inside) + 1})
        if (llvm::AllocaInst* slot = waiting_masks_[other])
          builder_.CreateStore(llvm::ConstantInt::getFalse(mask_type), slot);
      for (llvm::PHINode& phi : inside->phis()) {
        const PhiSlots& slots = phis_[&phi];
        if (slots.scalar)
          builder_.CreateStore(llvm::PoisonValue::get(phi.getType()), slots.scalar);
        for (llvm::AllocaInst* part : slots.parts)
          builder_.CreateStore(llvm::PoisonValue::get(part->getAllocatedType()), part);
      }
    }
  for (llvm::PHINode& phi : block.phis()) {
    const PhiSlots& slots = phis_[&phi];
    if (!slots.scalar) {
      Parts values;
      for (llvm::AllocaInst* part : slots.parts)
        values.push_back(builder_.CreateLoad(part->getAllocatedType(), part));
      set_parts(&phi, values);
      continue;
    }
    Value* value = builder_.CreateLoad(phi.getType(), slots.scalar);
    if (is_varying(&phi))
      firsts_[&phi] = value;
    else
      set_scalar(&phi, value);
  }
  for (llvm::PHINode& phi : block.phis())
    if (is_varying(&phi) && phis_[&phi].scalar)
      build_pattern(phi, lanes_.pattern(&phi));
}

void VectorBuilder::leave_block(BasicBlock& block) {
  llvm::Instruction* terminator = block.getTerminator();
  origin_[builder_.GetInsertBlock()] = &block;
  if (llvm::isa<llvm::ReturnInst>(terminator)) {
    builder_.CreateRetVoid();
    return;
  }
  auto* branch = llvm::dyn_cast<llvm::BranchInst>(terminator);
  if (!branch)
    refuse(*terminator, "control flow of an unknown kind");
  if (branch->isUnconditional()) {
    take_edge(block, *branch->getSuccessor(0), mask_);
    go(schedule_.after(&block, branch->getSuccessor(0)));
    return;
  }
  if (schedule_.is_divergent(&block)) {
    Value* condition = part(branch->getCondition());
    Value* yes = both(mask_, condition);
    Value* no = both(mask_, builder_.CreateNot(condition));
    for (unsigned i = 0; i < 2; ++i) {
      BasicBlock& to = *branch->getSuccessor(i);
      Value* lanes = i == 0 ? yes : no;
      const llvm::Loop* loop = loops_.getLoopFor(&block);
      if (!loop || loop->contains(&to)) {
        take_edge(block, to, lanes);
        continue;
      }
      // Most iterations let nobody out: what those would bring along is not touched then.
      BasicBlock* leave = BasicBlock::Create(context_, "leave", function_);
      BasicBlock* stay = BasicBlock::Create(context_, "", function_);
      builder_.CreateCondBr(any(lanes), leave, stay,
                            llvm::MDBuilder(context_).createBranchWeights(1, 2000));
      builder_.SetInsertPoint(leave);
      take_edge(block, to, lanes);
      builder_.CreateBr(stay);
      builder_.SetInsertPoint(stay);
    }
    go(schedule_.after_parting(&block));
    return;
  }
  BasicBlock* sides[2];
  for (BasicBlock*& side : sides) {
    side = BasicBlock::Create(context_, "", function_);
    origin_[side] = &block;
  }
  builder_.CreateCondBr(scalar(branch->getCondition()), sides[0], sides[1],
                        branch->getMetadata(llvm::LLVMContext::MD_prof));
  for (unsigned i = 0; i < 2; ++i) {
    builder_.SetInsertPoint(sides[i]);
    take_edge(block, *branch->getSuccessor(i), mask_);
    go(schedule_.after(&block, branch->getSuccessor(i)));
  }
}

// What the lanes bring along: phis, and their bit where they wait.
void VectorBuilder::take_edge(BasicBlock& from, BasicBlock& to, Value* lanes) {
  const Node node = schedule_.target(&from, &to);
  const bool joins = schedule_.joins(&from, &to);
  for (llvm::PHINode& phi : to.phis()) {
    const Value* incoming = phi.getIncomingValueForBlock(&from);
    const PhiSlots& slots = phis_[&phi];
    if (slots.scalar) {
      if (llvm::isa<llvm::UndefValue>(incoming) && joins)
        continue;
      builder_.CreateStore(is_varying(&phi) ? first(incoming) : scalar(incoming), slots.scalar);
      continue;
    }
    const Parts values = parts(incoming);
    for (unsigned i = 0; i < values.size(); ++i) {
      Value* value = values[i];
      if (joins)
        value = builder_.CreateSelect(lanes, value,
                                      builder_.CreateLoad(value->getType(), slots.parts[i]));
      builder_.CreateStore(value, slots.parts[i]);
    }
  }
  if (llvm::AllocaInst* waiting = waiting_masks_[node]) {
    if (joins)
      lanes = builder_.CreateOr(lanes, builder_.CreateLoad(lanes->getType(), waiting));
    builder_.CreateStore(lanes, waiting);
  }
}

void VectorBuilder::build_way_back(BasicBlock& latch) {
  const Node node = schedule_.node_of(&latch) + 1;
  builder_.SetInsertPoint(run_[node]);
  origin_[run_[node]] = &latch;
  const Node header = schedule_.node_of(loops_.getLoopFor(&latch)->getHeader());
  llvm::Type* mask_type = wide(builder_.getInt1Ty());
  if (waiting_masks_[node]) {
    if (waiting_masks_[header])
      builder_.CreateStore(builder_.CreateLoad(mask_type, waiting_masks_[node]),
                           waiting_masks_[header]);
    builder_.CreateStore(llvm::ConstantInt::getFalse(mask_type), waiting_masks_[node]);
  }
  go(schedule_.after_way_back(&latch));
}

BasicBlock* VectorBuilder::place_of(Schedule::Step step) {
  if (!step.is_test)
    return run_[step.node];
  BasicBlock*& test = test_[step.node];
  if (!test)
    test = BasicBlock::Create(context_, "test", function_);
  return test;
}

void VectorBuilder::go(Schedule::Step step) {
  builder_.CreateBr(place_of(step));
}

void VectorBuilder::build_test(Node node) {
  builder_.SetInsertPoint(test_[node]);
  origin_[test_[node]] = schedule_.blocks()[node / 2];
  Value* waiting = builder_.CreateLoad(wide(builder_.getInt1Ty()), waiting_masks_[node]);
  builder_.CreateCondBr(any(waiting), run_[node], place_of(schedule_.after_failed_test(node)));
}

// ------------------------------------------------------------------------------ SSA form

// A block that comes later in the order may be reached without passing an earlier one that it used
// to be dominated by; then none of the lanes that run need the value.
void VectorBuilder::repair_ssa() {
  llvm::DominatorTree dominators(*function_);
  // New blocks between two that are known belong to the same source block.
  for (BasicBlock* block : schedule_.blocks())
    origin_[run_[schedule_.node_of(block)]] = block;
  llvm::SmallVector<BasicBlock*, 32> blocks;
  for (BasicBlock& block : *function_)
    blocks.push_back(&block);
  for (BasicBlock* block : blocks)
    for (llvm::Instruction& instruction : *block) {
      llvm::SmallVector<llvm::Use*, 8> broken;
      for (llvm::Use& use : instruction.uses()) {
        auto* user = llvm::cast<llvm::Instruction>(use.getUser());
        const bool same_block = user->getParent() == block && !llvm::isa<llvm::PHINode>(user);
        if (!same_block && !dominators.dominates(&instruction, use))
          broken.push_back(&use);
      }
      if (broken.empty())
        continue;
      Value* nothing = llvm::PoisonValue::get(instruction.getType());
      llvm::SSAUpdater updater;
      updater.Initialize(instruction.getType(), "");
      if (block != entry_)
        updater.AddAvailableValue(entry_, nothing);
      const BasicBlock* source = origin_.lookup(block);
      const llvm::Loop* loop = source ? loops_.getLoopFor(source) : nullptr;
      if (loop) {
        BasicBlock* header = run_[schedule_.node_of(loop->getHeader())];
        if (header != block)
          updater.AddAvailableValue(header, nothing);
      }
      updater.AddAvailableValue(block, &instruction);
      for (llvm::Use* use : broken)
        updater.RewriteUseAfterInsertions(*use);
    }
}

// ------------------------------------------------------------------------------ lane by lane

Value* VectorBuilder::for_each_lane(llvm::Type* type,
                                    const std::function<Value*(Value* lane)>& body) {
  Value* bits = mask_bits();
  BasicBlock* before = builder_.GetInsertBlock();
  BasicBlock* loop = BasicBlock::Create(context_, "lane", function_);
  BasicBlock* done = BasicBlock::Create(context_, "", function_);
  builder_.CreateBr(loop);
  builder_.SetInsertPoint(loop);
  llvm::PHINode* left = builder_.CreatePHI(builder_.getInt32Ty(), 2);
  llvm::PHINode* collected = type ? builder_.CreatePHI(wide(type), 2) : nullptr;
  Value* lane = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, left, builder_.getTrue());
  Value* result = body(lane);
  Value* next = builder_.CreateAnd(left, builder_.CreateSub(left, builder_.getInt32(1)));
  BasicBlock* end = builder_.GetInsertBlock();
  left->addIncoming(bits, before);
  left->addIncoming(next, end);
  Value* all = nullptr;
  if (collected) {
    all = builder_.CreateInsertElement(collected, result, lane);
    collected->addIncoming(llvm::PoisonValue::get(wide(type)), before);
    collected->addIncoming(all, end);
  }
  builder_.CreateCondBr(builder_.CreateICmpEQ(next, builder_.getInt32(0)), done, loop);
  builder_.SetInsertPoint(done);
  return all;
}

} // namespace metalwright::simt
