// What differs between threadgroups, and the new program's frame.
#include "simt/widener.h"

#include "simt/flatten.h"
#include "simt/join_gathers.h"
#include "simt/simdgroup_state.h"

#include <llvm/ADT/PostOrderIterator.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/KnownBits.h>

#include <cstddef>

namespace metalwright::simt {

using llvm::Instruction;
using llvm::Value;

// More instructions than this cost more to compile than most kernels run.
static constexpr std::size_t kMost = 6000;

llvm::Function* Widener::run() {
  if (!find_sources())
    return nullptr;
  // What is common to all threadgroups has to be known before what follows from it.
  for (Instruction* quotient : find_common_quotients(function_, positions_, width_))
    steps_known_[quotient] = 0;
  if (find_neighbouring_gathers(function_, positions_, width_).empty())
    return nullptr;
  do {
    steps_.emplace(steps_known_, width_, false);
    find_varying();
    if (failed_)
      return nullptr;
  } while (flatten_one());
  find_sizes();
  if (failed_)
    return nullptr;
  emit();
  if (failed_ || made_->getInstructionCount() > kMost) {
    made_->eraseFromParent();
    return nullptr;
  }
  return made_;
}

bool Widener::find_sources() {
  const std::optional<ContextUses> of_threadgroup = uses_of_context(*function_.getArg(1));
  const std::optional<ContextUses> of_simdgroup = uses_of_context(*function_.getArg(2));
  if (!of_threadgroup || !of_simdgroup || !of_threadgroup->calls.empty() ||
      !of_simdgroup->calls.empty())
    return false;
  for (const auto& [offset, load] : of_threadgroup->loads) {
    if (offset == offsetof(ThreadgroupContext, memory) && is_interleaved_)
      memories_.insert(load);
    else if (offset == offsetof(ThreadgroupContext, memory))
      steps_known_[load] = static_cast<std::int64_t>(stride_);
    else if (!load->getType()->isIntegerTy(32))
      return false; // several words in one
  }
  positions_ = places_along_x(*of_threadgroup);
  steps_known_.insert(positions_.begin(), positions_.end());
  for (const auto& [offset, load] : of_simdgroup->loads) {
    if (offset != offsetof(SimdgroupState, shared))
      return false;
    steps_known_[load] = kSharedMemory;
  }
  return true;
}

Instruction* Widener::variable_of(Value* pointer) const {
  if (auto* lanes = llvm::dyn_cast<llvm::GetElementPtrInst>(pointer))
    if (lanes->getType()->isVectorTy() && !lanes->getPointerOperandType()->isVectorTy())
      pointer = lanes->getPointerOperand();
  auto* object = llvm::dyn_cast<Instruction>(llvm::getUnderlyingObject(pointer, 0));
  return object && (llvm::isa<llvm::AllocaInst>(object) || memories_.contains(object)) ? object
                                                                                       : nullptr;
}

bool Widener::is_masked_access(const Instruction& instruction) {
  const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
  return call && (call->getIntrinsicID() == llvm::Intrinsic::masked_load ||
                  call->getIntrinsicID() == llvm::Intrinsic::masked_gather ||
                  call->getIntrinsicID() == llvm::Intrinsic::masked_store);
}

void Widener::find_varying() {
  varying_.clear();
  aside_.clear();
  std::vector<Instruction*> open;
  auto put_aside = [&](Instruction& variable) {
    // Its loads differ from now on.
    std::vector<Instruction*> pointers{&variable};
    for (std::size_t i = 0; i < pointers.size(); ++i)
      for (llvm::User* user : pointers[i]->users()) {
        auto* instruction = llvm::cast<Instruction>(user);
        if (llvm::isa<llvm::GetElementPtrInst>(instruction)) {
          pointers.push_back(instruction);
        } else if (llvm::isa<llvm::LoadInst>(instruction) || is_masked_access(*instruction) ||
                   (llvm::isa<llvm::StoreInst>(instruction) &&
                    instruction->getOperand(0) != pointers[i])) {
          if (varying_.insert(instruction).second)
            open.push_back(instruction);
        } else if (!instruction->isLifetimeStartOrEnd()) {
          fail();
        }
      }
  };
  for (Instruction* memory : memories_) {
    aside_.insert(memory);
    put_aside(*memory);
  }
  auto add = [&](Instruction& instruction) {
    if (step(&instruction) != 0 && varying_.insert(&instruction).second)
      open.push_back(&instruction);
  };
  for (const auto& [source, by] : steps_known_)
    if (by != 0)
      add(*source);
  while (!open.empty()) {
    Instruction* next = open.back();
    open.pop_back();
    for (llvm::User* user : next->users())
      add(*llvm::cast<Instruction>(user));
    const bool is_masked = is_masked_access(*next) && next->getType()->isVoidTy();
    Instruction* variable =
        llvm::isa<llvm::StoreInst>(next) || is_masked ? variable_of(next->getOperand(1)) : nullptr;
    if (variable && aside_.insert(variable).second)
      put_aside(*variable);
  }
}

bool Widener::flatten_one() {
  bool parts = false;
  for (llvm::BasicBlock& block : function_) {
    auto* branch = llvm::dyn_cast<llvm::BranchInst>(block.getTerminator());
    if (!branch || !branch->isConditional() || !is_varying(branch->getCondition()))
      continue;
    parts = true;
    if (const auto inner = blocks_to_flatten(block)) {
      flatten(block);
      return true;
    }
  }
  if (parts)
    fail();
  return false;
}

void Widener::emit() {
  made_ = llvm::Function::Create(function_.getFunctionType(), llvm::GlobalValue::InternalLinkage,
                                 "widened", *function_.getParent());
  made_->copyAttributesFrom(&function_);
  for (unsigned i = 0; i < function_.arg_size(); ++i)
    base_[function_.getArg(i)] = made_->getArg(i);
  for (llvm::BasicBlock& block : function_)
    blocks_[&block] = llvm::BasicBlock::Create(made_->getContext(), block.getName(), made_);
  std::vector<llvm::PHINode*> phis;
  for (llvm::BasicBlock* block : llvm::ReversePostOrderTraversal<llvm::Function*>(&function_)) {
    for (Instruction& instruction : *block) {
      builder_.SetInsertPoint(blocks_[block]);
      if (auto* phi = llvm::dyn_cast<llvm::PHINode>(&instruction)) {
        start(*phi);
        phis.push_back(phi);
      } else if (is_aside(instruction)) {
        emit_aside(instruction);
      } else if (!is_varying(&instruction) || step(&instruction)) {
        copy(instruction);
      } else {
        if (llvm::isa<llvm::InsertElementInst, llvm::ShuffleVectorInst>(instruction) &&
            llvm::all_of(instruction.operands(),
                         [&](Value* operand) { return base(operand) != nullptr; }))
          copy(instruction);
        builder_.SetInsertPoint(blocks_[block]);
        widen(instruction);
      }
      if (failed_)
        return;
    }
  }
  for (llvm::PHINode* phi : phis)
    finish(*phi);
}

void Widener::copy(Instruction& original) {
  if (llvm::isa<llvm::CallBase>(original) && !llvm::isa<llvm::IntrinsicInst>(original)) {
    fail();
    return;
  }
  Instruction* made = original.clone();
  for (llvm::Use& operand : made->operands())
    if (auto* block = llvm::dyn_cast<llvm::BasicBlock>(operand.get()))
      operand.set(blocks_[block]);
    else if (Value* value = base(operand.get()))
      operand.set(value);
    else
      fail();
  if (failed_) {
    made->deleteValue();
    return;
  }
  builder_.Insert(made);
  base_[&original] = made;
}

Value* Widener::base(Value* value) const {
  if (!llvm::isa<Instruction, llvm::Argument>(value))
    return value;
  return base_.lookup(value);
}

unsigned Widener::count_of(llvm::Type* type) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  return vector ? vector->getNumElements() : 1;
}

void Widener::go_behind(Value* value) {
  if (auto* instruction = llvm::dyn_cast<Instruction>(value)) {
    if (llvm::isa<llvm::PHINode>(instruction))
      builder_.SetInsertPoint(instruction->getParent(),
                              instruction->getParent()->getFirstInsertionPt());
    else
      builder_.SetInsertPoint(instruction->getParent(), std::next(instruction->getIterator()));
  } else {
    builder_.SetInsertPoint(&made_->getEntryBlock(), made_->getEntryBlock().getFirstInsertionPt());
  }
}

Value* Widener::element(Value* vector, unsigned lane) {
  if (!vector->getType()->isVectorTy())
    return vector;
  if (auto* constant = llvm::dyn_cast<llvm::Constant>(vector))
    if (llvm::Constant* found = constant->getAggregateElement(lane))
      return found;
  if (Value* same = splatted(vector))
    return same;
  auto* instruction = llvm::dyn_cast<Instruction>(vector);
  // Which lanes a mask never has may be known, as when there are fewer simdgroups than lanes.
  if (auto* bits = llvm::dyn_cast_or_null<llvm::BitCastInst>(instruction);
      bits && bits->getSrcTy()->isIntegerTy(count_of(bits->getType()))) {
    const llvm::KnownBits known = llvm::computeKnownBits(bits->getOperand(0), layout_);
    if (known.Zero[lane] || known.One[lane])
      return builder_.getInt1(known.One[lane]);
  }
  if (auto* shuffle = llvm::dyn_cast_or_null<llvm::ShuffleVectorInst>(instruction)) {
    const int from = shuffle->getMaskValue(lane);
    const auto first = static_cast<int>(count_of(shuffle->getOperand(0)->getType()));
    if (from >= 0)
      return element(shuffle->getOperand(from < first ? 0 : 1),
                     static_cast<unsigned>(from < first ? from : from - first));
  }
  auto of = [&](unsigned i) { return element(instruction->getOperand(i), lane); };
  Value* made = nullptr;
  if (auto* address = llvm::dyn_cast_or_null<llvm::GetElementPtrInst>(instruction)) {
    if (address->getNumIndices() == 1)
      made = builder_.CreateGEP(address->getSourceElementType(), of(0), of(1));
  } else if (auto* cast = llvm::dyn_cast_or_null<llvm::CastInst>(instruction)) {
    if (llvm::isa<llvm::SExtInst, llvm::ZExtInst, llvm::TruncInst>(cast))
      made = builder_.CreateCast(cast->getOpcode(), of(0), cast->getType()->getScalarType());
  } else if (auto* binary = llvm::dyn_cast_or_null<llvm::BinaryOperator>(instruction)) {
    if (binary->getType()->isIntOrIntVectorTy() && !binary->isIntDivRem())
      made = builder_.CreateBinOp(binary->getOpcode(), of(0), of(1));
  } else if (auto* comparison = llvm::dyn_cast_or_null<llvm::ICmpInst>(instruction)) {
    made = builder_.CreateICmp(comparison->getPredicate(), of(0), of(1));
  }
  if (!made)
    return builder_.CreateExtractElement(vector, lane);
  if (auto* result = llvm::dyn_cast<Instruction>(made);
      result && result->getOpcode() == instruction->getOpcode())
    result->copyIRFlags(instruction);
  return made;
}

Value* Widener::wide_mask(Value* mask, unsigned lane) {
  auto* instruction = llvm::dyn_cast<Instruction>(mask);
  if (!instruction || !mask->getType()->isVectorTy() ||
      !mask->getType()->getScalarType()->isIntegerTy(1))
    return nullptr;
  if (auto* comparison = llvm::dyn_cast<llvm::CmpInst>(instruction))
    return builder_.CreateCmp(comparison->getPredicate(), wide(comparison->getOperand(0), lane),
                              wide(comparison->getOperand(1), lane));
  if (auto* binary = llvm::dyn_cast<llvm::BinaryOperator>(instruction))
    return builder_.CreateBinOp(binary->getOpcode(), wide(binary->getOperand(0), lane),
                                wide(binary->getOperand(1), lane));
  return nullptr;
}

Value* Widener::wide(Value* value, unsigned lane) {
  if (value->getType()->isVectorTy() && lane >= count_of(value->getType())) {
    fail();
    return llvm::PoisonValue::get(wide_type(value->getType()));
  }
  if (const auto found = wide_.find(value); found != wide_.end() && found->second[lane])
    return found->second[lane];
  Value* own = base(value);
  if (!own) {
    fail();
    return llvm::PoisonValue::get(wide_type(value->getType()));
  }
  const llvm::IRBuilder<>::InsertPointGuard guard(builder_);
  go_behind(own);
  const std::int64_t by = is_varying(value) ? step(value).value_or(0) : 0;
  Value* made = by == 0 ? wide_mask(value, lane) : nullptr;
  Value* first = made ? nullptr : element(own, lane);
  if (!made && by == 0)
    made = builder_.CreateVectorSplat(width_, first);
  else if (!made && first->getType()->isPointerTy())
    made = builder_.CreatePtrAdd(first, offsets(builder_.getInt64Ty(), by));
  else if (!made)
    made = builder_.CreateAdd(builder_.CreateVectorSplat(width_, first),
                              offsets(first->getType(), by));
  std::vector<Value*>& lanes = wide_[value];
  lanes.resize(count_of(value->getType()));
  lanes[lane] = made;
  return made;
}

llvm::Constant* Widener::offsets(llvm::Type* type, std::int64_t by) const {
  llvm::SmallVector<llvm::Constant*, kMostThreadgroups> all;
  for (unsigned k = 0; k < width_; ++k)
    all.push_back(llvm::ConstantInt::getSigned(type, by * k));
  return llvm::ConstantVector::get(all);
}

void Widener::start(llvm::PHINode& phi) {
  if (!is_varying(&phi)) {
    base_[&phi] = builder_.CreatePHI(phi.getType(), phi.getNumIncomingValues());
    return;
  }
  if (phi.getType()->isPointerTy())
    fail();
  std::vector<Value*>& lanes = wide_[&phi];
  for (unsigned i = 0; i < count_of(phi.getType()); ++i)
    lanes.push_back(builder_.CreatePHI(wide_type(phi.getType()), phi.getNumIncomingValues()));
}

void Widener::finish(llvm::PHINode& phi) {
  for (unsigned k = 0; k < phi.getNumIncomingValues(); ++k) {
    llvm::BasicBlock* from = blocks_[phi.getIncomingBlock(k)];
    Value* incoming = phi.getIncomingValue(k);
    if (Value* own = base_.lookup(&phi)) {
      Value* value = base(incoming);
      if (!value)
        fail();
      else
        llvm::cast<llvm::PHINode>(own)->addIncoming(value, from);
      continue;
    }
    for (unsigned i = 0; i < count_of(phi.getType()); ++i)
      llvm::cast<llvm::PHINode>(wide_[&phi][i])->addIncoming(wide(incoming, i), from);
  }
}

} // namespace metalwright::simt
