// Collects what a value is computed from, and computes it elsewhere.
#include "simt/conditions.h"

#include "simt/launch.h"

#include <llvm/ADT/SetVector.h>
#include <llvm/Analysis/PostDominators.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>

#include <cstddef>
#include <optional>
#include <utility>

namespace metalwright::simt {

namespace {

using llvm::Value;

constexpr std::size_t kLongestCondition = 64; // instructions

bool is_masked_load(const llvm::Instruction& instruction) {
  const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
  return call && (call->getIntrinsicID() == llvm::Intrinsic::masked_load ||
                  call->getIntrinsicID() == llvm::Intrinsic::masked_gather);
}

// Under what a block runs: all of these, with whether they hold or do not.
using Guards = llvm::SmallVector<std::pair<Value*, bool>, 4>;

class Condition {
 public:
  explicit Condition(llvm::Function& function)
      : function_(function), dominators_(function), post_dominators_(function) {}

  bool collect(Value* value) {
    if (llvm::isa<llvm::Constant>(value))
      return true;
    if (auto* argument = llvm::dyn_cast<llvm::Argument>(value))
      return argument->getArgNo() < 2; // not the simdgroup's
    auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
    if (!instruction)
      return false;
    if (order_.contains(instruction))
      return true;
    if (order_.size() >= kLongestCondition || !can_be_first(*instruction))
      return false;
    for (Value* operand : instruction->operands())
      if (!collect(operand))
        return false;
    order_.insert(instruction);
    return true;
  }

  llvm::ArrayRef<llvm::Instruction*> instructions() const { return order_.getArrayRef(); }
  // Of a load that not every threadgroup may do.
  const Guards* guards(const llvm::Instruction* load) const {
    const auto found = guards_.find(load);
    return found != guards_.end() ? &found->second : nullptr;
  }

 private:
  bool can_be_first(llvm::Instruction& instruction) {
    if (llvm::isa<llvm::PHINode>(instruction) || llvm::isa<llvm::AllocaInst>(instruction) ||
        instruction.isTerminator())
      return false;
    // The first block runs always.
    const bool can_be_anywhere = instruction.getParent() == &function_.getEntryBlock() ||
                                 llvm::isSafeToSpeculativelyExecute(&instruction);
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
    const bool is_load = load ? load->isSimple() : is_masked_load(instruction);
    if (!is_load)
      return can_be_anywhere && !instruction.mayReadOrWriteMemory();
    if (!instruction.hasMetadata(llvm::LLVMContext::MD_invariant_load))
      return false;
    if (can_be_anywhere)
      return true;
    // A guarded load reads the launch's memory where it must not read its own.
    if (load && load->getType()->getPrimitiveSizeInBits() > 8 * sizeof(LaunchContext))
      return false;
    std::optional<Guards> found = guards_of(instruction.getParent());
    if (!found)
      return false;
    for (const auto& [condition, holds] : *found)
      if (!collect(condition))
        return false;
    guards_[&instruction] = std::move(*found);
    return true;
  }

  // The block runs if these hold, not only if it runs.
  std::optional<Guards> guards_of(llvm::BasicBlock* block) const {
    Guards found;
    while (block != &function_.getEntryBlock()) {
      if (llvm::BasicBlock* before = block->getSinglePredecessor()) {
        auto* branch = llvm::dyn_cast<llvm::BranchInst>(before->getTerminator());
        if (!branch)
          return std::nullopt;
        if (branch->isConditional())
          found.emplace_back(branch->getCondition(), branch->getSuccessor(0) == block);
        block = before;
        continue;
      }
      llvm::BasicBlock* dominator = dominators_.getNode(block)->getIDom()->getBlock();
      if (!post_dominators_.dominates(block, dominator))
        return std::nullopt;
      block = dominator;
    }
    return found;
  }

  llvm::Function& function_;
  const llvm::DominatorTree dominators_;
  const llvm::PostDominatorTree post_dominators_;
  llvm::SmallSetVector<llvm::Instruction*, 32> order_;
  llvm::DenseMap<const llvm::Instruction*, Guards> guards_;
};

using Values = llvm::DenseMap<const Value*, Value*>;

Value* value_of(const Values& values, Value* original) {
  const auto found = values.find(original);
  return found != values.end() ? found->second : original;
}

// The same instruction at `builder`, of what its operands are there.
llvm::Instruction* copy_at(llvm::IRBuilder<>& builder, const llvm::Instruction& original,
                           Values& values) {
  llvm::Instruction* made = builder.Insert(original.clone());
  for (llvm::Use& operand : made->operands())
    operand.set(value_of(values, operand.get()));
  values[&original] = made;
  return made;
}

// The load reads its memory only if these hold.
void guard(llvm::IRBuilder<>& builder, llvm::Instruction& load, const Guards& guards,
           const Values& values, Value* launch) {
  builder.SetInsertPoint(&load);
  Value* all = builder.getTrue();
  for (const auto& [condition, holds] : guards) {
    Value* value = value_of(values, condition);
    all = builder.CreateAnd(all, holds ? value : builder.CreateNot(value));
  }
  // The address of a plain load, the mask of another.
  const unsigned operand = llvm::isa<llvm::LoadInst>(load) ? 0 : 2;
  Value* otherwise =
      operand == 0 ? launch : llvm::Constant::getNullValue(load.getOperand(2)->getType());
  load.setOperand(operand, builder.CreateSelect(all, load.getOperand(operand), otherwise));
  builder.SetInsertPoint(load.getParent());
}

// Whether the condition reads more of a threadgroup than words whose meaning is known.
bool is_of_words(const llvm::Function& condition) {
  const llvm::DataLayout& layout = condition.getParent()->getDataLayout();
  for (const llvm::Instruction& instruction : condition.getEntryBlock()) {
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
    if (!load)
      continue;
    llvm::APInt offset(64, 0);
    const Value* base =
        load->getPointerOperand()->stripAndAccumulateConstantOffsets(layout, offset, true);
    if (base == condition.getArg(1) && !load->getType()->isIntegerTy(32))
      return false;
  }
  return true;
}

} // namespace

bool is_known_before(llvm::Function& function, Value& value) {
  return Condition(function).collect(&value);
}

llvm::Function* make_condition(llvm::Function& function, Value& value,
                               llvm::function_ref<Value*(llvm::IRBuilder<>&, Value*)> finish) {
  Condition condition(function);
  condition.collect(&value);
  llvm::LLVMContext& context = function.getContext();
  llvm::IRBuilder<> builder(context);
  llvm::Type* pointer = builder.getPtrTy();
  llvm::Function* made = llvm::Function::Create(
      llvm::FunctionType::get(builder.getInt1Ty(), {pointer, pointer}, false),
      llvm::GlobalValue::InternalLinkage, "leaves", *function.getParent());
  builder.SetInsertPoint(llvm::BasicBlock::Create(context, "", made));
  Values values{{function.getArg(0), made->getArg(0)}, {function.getArg(1), made->getArg(1)}};
  for (const llvm::Instruction* original : condition.instructions()) {
    llvm::Instruction* copy = copy_at(builder, *original, values);
    copy->setDebugLoc({});
    if (const Guards* guards = condition.guards(original))
      guard(builder, *copy, *guards, values, made->getArg(0));
  }
  builder.CreateRet(finish(builder, value_of(values, &value)));
  if (is_of_words(*made))
    return made;
  made->eraseFromParent();
  return nullptr;
}

// The condition at `builder`, for the threadgroup `k` behind that of `threadgroup` along x.
Value* repeat_condition(llvm::IRBuilder<>& builder, const llvm::Function& condition, Value* launch,
                        Value* threadgroup, unsigned k) {
  Values values{{condition.getArg(0), launch}, {condition.getArg(1), threadgroup}};
  const llvm::DataLayout& layout = condition.getParent()->getDataLayout();
  for (const llvm::Instruction& original : condition.getEntryBlock()) {
    if (const auto* end = llvm::dyn_cast<llvm::ReturnInst>(&original))
      return value_of(values, end->getReturnValue());
    llvm::Instruction* made = copy_at(builder, original, values);
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(&original);
    if (!load || k == 0)
      continue;
    llvm::APInt offset(64, 0);
    const Value* base =
        load->getPointerOperand()->stripAndAccumulateConstantOffsets(layout, offset, true);
    if (base == condition.getArg(1) && offset == offsetof(ThreadgroupContext, position))
      values[&original] = builder.CreateAdd(made, builder.getInt32(k), "", true);
  }
  return nullptr;
}

} // namespace metalwright::simt
