// Clones the ways apart, and a condition that is known before the kernel begins.
#include "simt/early_exits.h"

#include "simt/launch.h"
#include "simt/simdgroup_state.h"
#include "simt/vector_builder.h"

#include <llvm/ADT/SetVector.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/CFG.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include <cstddef>
#include <vector>

namespace metalwright::simt {

namespace {

using llvm::Value;

constexpr std::size_t kLongestCondition = 64; // instructions
constexpr std::size_t kMostExits = 4;

// What a value is computed from, in order, if that is the same for a whole threadgroup and can be
// computed before the function begins.
class Condition {
 public:
  explicit Condition(llvm::Function& function) : function_(function) {}

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

 private:
  bool can_be_first(const llvm::Instruction& instruction) const {
    if (llvm::isa<llvm::PHINode>(instruction) || llvm::isa<llvm::AllocaInst>(instruction) ||
        instruction.isTerminator())
      return false;
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
    if (load ? !load->isSimple() || !load->hasMetadata(llvm::LLVMContext::MD_invariant_load)
             : instruction.mayReadOrWriteMemory())
      return false;
    // The first block runs always.
    return instruction.getParent() == &function_.getEntryBlock() ||
           llvm::isSafeToSpeculativelyExecute(&instruction);
  }

  llvm::Function& function_;
  llvm::SmallSetVector<llvm::Instruction*, 32> order_;
};

struct Way {
  llvm::BranchInst* branch = nullptr;
  unsigned out = 0; // the successor
};

bool reaches(llvm::BasicBlock* from, llvm::ArrayRef<llvm::CallInst*> barriers) {
  llvm::SmallSetVector<llvm::BasicBlock*, 16> reached;
  reached.insert(from);
  for (std::size_t i = 0; i < reached.size(); ++i)
    for (llvm::BasicBlock* next : llvm::successors(reached[i]))
      reached.insert(next);
  return llvm::any_of(barriers, [&](const llvm::CallInst* barrier) {
    return reached.contains(const_cast<llvm::BasicBlock*>(barrier->getParent()));
  });
}

std::optional<Way> find_way_out(llvm::Function& function,
                                llvm::ArrayRef<llvm::CallInst*> barriers) {
  const llvm::DominatorTree dominators(function);
  for (llvm::BasicBlock& block : function) {
    auto* branch = llvm::dyn_cast<llvm::BranchInst>(block.getTerminator());
    if (!branch || !branch->isConditional() || llvm::isa<llvm::Constant>(branch->getCondition()) ||
        branch->getSuccessor(0) == branch->getSuccessor(1) ||
        !llvm::all_of(barriers, [&](const llvm::CallInst* barrier) {
          return dominators.dominates(branch, barrier);
        }))
      continue;
    for (unsigned out : {0u, 1u})
      if (!reaches(branch->getSuccessor(out), barriers) &&
          Condition(function).collect(branch->getCondition()))
        return Way{branch, out};
  }
  return std::nullopt;
}

// The branch always goes to one side.
void go_always(llvm::BranchInst& branch, unsigned way) {
  llvm::BasicBlock* block = branch.getParent();
  branch.getSuccessor(1 - way)->removePredecessor(block);
  llvm::BranchInst::Create(branch.getSuccessor(way), branch.getIterator());
  branch.eraseFromParent();
  llvm::EliminateUnreachableBlocks(*block->getParent());
}

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

// The condition at `builder`, for the threadgroup `k` behind that of `threadgroup` along x.
Value* repeat(llvm::IRBuilder<>& builder, const llvm::Function& leaves, Value* launch,
              Value* threadgroup, unsigned k) {
  Values values{{leaves.getArg(0), launch}, {leaves.getArg(1), threadgroup}};
  const llvm::DataLayout& layout = leaves.getParent()->getDataLayout();
  for (const llvm::Instruction& original : leaves.getEntryBlock()) {
    if (const auto* end = llvm::dyn_cast<llvm::ReturnInst>(&original))
      return value_of(values, end->getReturnValue());
    llvm::Instruction* made = copy_at(builder, original, values);
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(&original);
    if (!load || k == 0)
      continue;
    llvm::APInt offset(64, 0);
    const Value* base =
        load->getPointerOperand()->stripAndAccumulateConstantOffsets(layout, offset, true);
    if (base == leaves.getArg(1) && offset == offsetof(ThreadgroupContext, position))
      values[&original] = builder.CreateAdd(made, builder.getInt32(k), "", true);
  }
  return nullptr;
}

// Whether the condition reads more of a threadgroup than words whose meaning is known.
bool is_of_words(const llvm::Function& leaves) {
  const llvm::DataLayout& layout = leaves.getParent()->getDataLayout();
  for (const llvm::Instruction& instruction : leaves.getEntryBlock()) {
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
    if (!load)
      continue;
    llvm::APInt offset(64, 0);
    const Value* base =
        load->getPointerOperand()->stripAndAccumulateConstantOffsets(layout, offset, true);
    if (base == leaves.getArg(1) && !load->getType()->isIntegerTy(32))
      return false;
  }
  return true;
}

llvm::Function* make_condition(llvm::Function& function, const Way& way) {
  Condition condition(function);
  condition.collect(way.branch->getCondition());
  llvm::LLVMContext& context = function.getContext();
  llvm::IRBuilder<> builder(context);
  llvm::Type* pointer = builder.getPtrTy();
  llvm::Function* leaves = llvm::Function::Create(
      llvm::FunctionType::get(builder.getInt1Ty(), {pointer, pointer}, false),
      llvm::GlobalValue::InternalLinkage, "leaves", *function.getParent());
  builder.SetInsertPoint(llvm::BasicBlock::Create(context, "", leaves));
  Values values{{function.getArg(0), leaves->getArg(0)}, {function.getArg(1), leaves->getArg(1)}};
  for (const llvm::Instruction* original : condition.instructions())
    copy_at(builder, *original, values)->setDebugLoc({});
  Value* result = value_of(values, way.branch->getCondition());
  builder.CreateRet(way.out == 0 ? result : builder.CreateNot(result));
  return leaves;
}

} // namespace

static std::optional<EarlyExit> take_off_early_exit(llvm::Function& function) {
  const std::optional<StateUses> uses = uses_of_state(function);
  if (!uses || uses->barriers.empty())
    return std::nullopt;
  const std::optional<Way> way = find_way_out(function, uses->barriers);
  if (!way)
    return std::nullopt;
  EarlyExit exit;
  exit.leaves = make_condition(function, *way);
  if (!is_of_words(*exit.leaves)) {
    exit.leaves->eraseFromParent();
    return std::nullopt;
  }
  llvm::ValueToValueMapTy values;
  exit.exit = llvm::CloneFunction(&function, values);
  exit.exit->setName("exit");
  exit.exit->setLinkage(llvm::GlobalValue::InternalLinkage);
  exit.exit->addFnAttr(llvm::Attribute::NoInline);
  const Value* copy = values[way->branch];
  go_always(*const_cast<llvm::BranchInst*>(llvm::cast<llvm::BranchInst>(copy)), way->out);
  go_always(*way->branch, 1 - way->out);
  function.setName("rest");
  function.setLinkage(llvm::GlobalValue::InternalLinkage);
  return exit;
}

std::vector<EarlyExit> take_off_early_exits(llvm::Function& function) {
  std::vector<EarlyExit> exits;
  while (exits.size() < kMostExits)
    if (const std::optional<EarlyExit> exit = take_off_early_exit(function))
      exits.push_back(*exit);
    else
      break;
  return exits;
}

llvm::Function& put_exits_before(llvm::ArrayRef<EarlyExit> exits, const Rest& rest,
                                 const Shape& shape) {
  llvm::LLVMContext& context = rest.all->getContext();
  llvm::IRBuilder<> builder(context);
  llvm::Function& entry =
      *llvm::Function::Create(rest.all->getFunctionType(), llvm::GlobalValue::ExternalLinkage,
                              kEntryName, *rest.all->getParent());
  entry.copyAttributesFrom(rest.all);
  Value* launch = entry.getArg(0);
  Value* threadgroup = entry.getArg(1);
  Value* state = entry.getArg(2);
  auto block = [&](const char* name) { return llvm::BasicBlock::Create(context, name, &entry); };
  llvm::BasicBlock* start = block("start");
  llvm::BasicBlock* stay = block("stay");
  llvm::BasicBlock* leave = block("leave");
  llvm::BasicBlock* end = block("end");
  builder.SetInsertPoint(start);
  // Which threadgroups leave, by bit: those that do by the first way out, by the second...
  std::vector<Value*> which(exits.size(), builder.getInt32(0));
  Value* any = builder.getInt32(0);
  for (std::size_t i = 0; i < exits.size(); ++i) {
    for (unsigned k = 0; k < rest.threadgroups; ++k) {
      Value* bit = builder.CreateZExt(repeat(builder, *exits[i].leaves, launch, threadgroup, k),
                                      builder.getInt32Ty());
      which[i] = builder.CreateOr(which[i], builder.CreateShl(bit, k));
    }
    any = builder.CreateOr(any, which[i]);
  }
  Value* none = builder.CreateIsNull(any);
  builder.SetInsertPoint(stay);
  builder.CreateCall(rest.all, {launch, threadgroup, state});
  builder.CreateBr(end);
  builder.SetInsertPoint(end);
  builder.CreateRetVoid();

  // From `from` on, the threadgroup `k` of these by the way that it takes: `call` makes the code
  // for each in a block of its own, which goes on as it likes.
  auto by_way = [&](llvm::BasicBlock* from, Value* k,
                    llvm::function_ref<void(llvm::Function*)> call, llvm::BasicBlock* otherwise) {
    for (std::size_t i = 0; i < exits.size(); ++i) {
      llvm::BasicBlock* taken = block("out");
      llvm::BasicBlock* next = i + 1 < exits.size() ? block("or") : otherwise;
      builder.SetInsertPoint(from);
      builder.CreateCondBr(
          builder.CreateTrunc(builder.CreateLShr(which[i], k), builder.getInt1Ty()), taken, next);
      builder.SetInsertPoint(taken);
      call(exits[i].exit);
      from = next;
    }
  };
  if (!rest.is_whole) {
    by_way(
        leave, builder.getInt32(0),
        [&](llvm::Function* exit) {
          builder.CreateCall(exit, {launch, threadgroup, state});
          builder.CreateBr(end);
        },
        stay);
  } else {
    // One threadgroup after the other, and of those that leave one simdgroup after the other.
    auto copy = [&](Value* of, std::size_t size, std::size_t alignment) {
      builder.SetInsertPoint(start);
      const llvm::Align align(alignment);
      llvm::AllocaInst* made =
          builder.CreateAlloca(llvm::ArrayType::get(builder.getInt8Ty(), size));
      made->setAlignment(align);
      builder.SetInsertPoint(leave);
      builder.CreateMemCpy(made, align, of, align, size);
      return made;
    };
    auto* own = copy(threadgroup, sizeof(ThreadgroupContext), alignof(ThreadgroupContext));
    auto* own_state = copy(state, sizeof(SimdgroupState), alignof(SimdgroupState));
    auto member = [&](Value* of, std::size_t offset) {
      return builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), of, offset);
    };
    llvm::Type* word = builder.getInt32Ty();
    Value* first =
        builder.CreateLoad(word, member(threadgroup, offsetof(ThreadgroupContext, position)));
    llvm::BasicBlock* each = block("threadgroup");
    llvm::BasicBlock* one = block("one");
    llvm::BasicBlock* next = block("next");
    builder.CreateBr(each);
    builder.SetInsertPoint(each);
    llvm::PHINode* k = builder.CreatePHI(word, 2);
    builder.CreateStore(builder.CreateAdd(first, k),
                        member(own, offsetof(ThreadgroupContext, position)));
    auto run_simdgroups = [&](llvm::Function* exit) {
      llvm::BasicBlock* before = builder.GetInsertBlock();
      llvm::BasicBlock* simdgroup = block("simdgroup");
      builder.CreateBr(simdgroup);
      builder.SetInsertPoint(simdgroup);
      llvm::PHINode* index = builder.CreatePHI(word, 2);
      Value* begin = builder.CreateShl(index, 5);
      Value* lanes = builder.CreateBinaryIntrinsic(
          llvm::Intrinsic::umin, builder.CreateSub(builder.getInt32(shape.count()), begin),
          builder.getInt32(kSimdgroupSize));
      builder.CreateStore(index, member(own_state, offsetof(SimdgroupState, index)));
      builder.CreateStore(lanes, member(own_state, offsetof(SimdgroupState, lanes)));
      builder.CreateCall(exit, {launch, own, own_state});
      Value* following = builder.CreateAdd(index, builder.getInt32(1));
      const unsigned count = (shape.count() + kSimdgroupSize - 1) / kSimdgroupSize;
      builder.CreateCondBr(builder.CreateICmpULT(following, builder.getInt32(count)), simdgroup,
                           next);
      index->addIncoming(builder.getInt32(0), before);
      index->addIncoming(following, simdgroup);
    };
    by_way(each, k, run_simdgroups, one);
    builder.SetInsertPoint(one);
    builder.CreateCall(rest.one, {launch, own, state});
    builder.CreateBr(next);
    builder.SetInsertPoint(next);
    Value* other = builder.CreateAdd(k, builder.getInt32(1));
    builder.CreateCondBr(builder.CreateICmpULT(other, builder.getInt32(rest.threadgroups)), each,
                         end);
    k->addIncoming(builder.getInt32(0), leave);
    k->addIncoming(other, next);
  }
  builder.SetInsertPoint(start);
  builder.CreateCondBr(none, stay, leave);
  for (const EarlyExit& exit : exits)
    exit.leaves->eraseFromParent();
  return entry;
}

} // namespace metalwright::simt
