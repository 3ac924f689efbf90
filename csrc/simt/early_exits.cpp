// Clones the ways apart.
#include "simt/early_exits.h"

#include "simt/conditions.h"
#include "simt/launch.h"
#include "simt/optimise.h"
#include "simt/simdgroup_state.h"
#include "simt/vector_builder.h"

#include <llvm/ADT/SetVector.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/CFG.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/PatternMatch.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include <cstddef>
#include <utility>
#include <vector>

namespace metalwright::simt {

namespace {

using llvm::Value;

constexpr std::size_t kMostExits = 4;

struct Way {
  llvm::BranchInst* branch = nullptr;
  unsigned out = 0; // the successor
};

// In a function that runs only where the lanes `known` of `mask` are `is`: says so in the code, for
// what the mask was made from as well.
void know(Value* mask, const llvm::APInt& known, bool is) {
  namespace pattern = llvm::PatternMatch;
  auto* instruction = llvm::dyn_cast<llvm::Instruction>(mask);
  if (!instruction || known.isZero())
    return;
  Value* first = nullptr;
  Value* second = nullptr;
  if (pattern::match(instruction, pattern::m_Not(pattern::m_Value(first)))) {
    know(first, known, !is);
  } else if (auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(instruction)) {
    llvm::APInt of_first(known.getBitWidth(), 0);
    for (unsigned i = 0; i < known.getBitWidth(); ++i)
      if (const int from = shuffle->getMaskValue(i); known[i] && from >= 0)
        if (static_cast<unsigned>(from) < known.getBitWidth())
          of_first.setBit(static_cast<unsigned>(from));
    if (shuffle->getOperand(0)->getType() == shuffle->getType())
      know(shuffle->getOperand(0), of_first, is);
  } else if (is ? pattern::match(instruction, pattern::m_LogicalAnd(pattern::m_Value(first),
                                                                    pattern::m_Value(second)))
                : pattern::match(instruction, pattern::m_LogicalOr(pattern::m_Value(first),
                                                                   pattern::m_Value(second)))) {
    know(first, known, is);
    know(second, known, is);
  }
  // What is known, and of the other lanes what they are.
  llvm::Type* type = mask->getType();
  llvm::Constant* constant = llvm::ConstantInt::getBool(type, is);
  if (known.isAllOnes()) {
    instruction->replaceAllUsesWith(constant);
    return;
  }
  llvm::SmallVector<int, 32> lanes;
  for (unsigned i = 0; i < known.getBitWidth(); ++i)
    lanes.push_back(static_cast<int>(known[i] ? known.getBitWidth() + i : i));
  auto* both = new llvm::ShuffleVectorInst(instruction, constant, lanes, "",
                                           instruction->getNextNode()->getIterator());
  instruction->replaceUsesWithIf(both, [&](const llvm::Use& use) { return use.getUser() != both; });
}

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
          is_known_before(function, *branch->getCondition()))
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

// `mask` if it is known before the kernel begins, or a mask in which all lanes of it are.
Value* known_before(llvm::Function& function, Value* mask) {
  namespace pattern = llvm::PatternMatch;
  if (is_known_before(function, *mask))
    return mask;
  Value* first = nullptr;
  Value* second = nullptr;
  if (!pattern::match(mask,
                      pattern::m_LogicalAnd(pattern::m_Value(first), pattern::m_Value(second))))
    return nullptr;
  Value* found = known_before(function, first);
  return found ? found : known_before(function, second);
}

// What the mask of those at a barrier is made from: the one vector, whichever way led there.
Value* mask_of(Value* bits) {
  if (auto* phi = llvm::dyn_cast<llvm::PHINode>(bits)) {
    Value* common = nullptr;
    for (Value* incoming : phi->incoming_values()) {
      Value* mask = llvm::isa<llvm::PHINode>(incoming) ? nullptr : mask_of(incoming);
      if (!mask || (common && mask != common))
        return nullptr;
      common = mask;
    }
    return common;
  }
  Value* mask = nullptr;
  namespace pattern = llvm::PatternMatch;
  if (!pattern::match(bits, pattern::m_BitCast(pattern::m_Value(mask))) ||
      !mask->getType()->isVectorTy() || !mask->getType()->getScalarType()->isIntegerTy(1))
    return nullptr;
  return mask;
}

// Where not all lanes reach a barrier, the only simdgroup ends, and the run time is told.
void end_where_lanes_wait(llvm::Function& function, llvm::ArrayRef<llvm::CallInst*> barriers) {
  llvm::Module& module = *function.getParent();
  for (llvm::CallInst* barrier : barriers) {
    llvm::IRBuilder<> builder(barrier);
    Value* some = builder.CreateICmpNE(barrier->getArgOperand(2), barrier->getArgOperand(3));
    llvm::Instruction* end = llvm::SplitBlockAndInsertIfThen(some, barrier->getIterator(), true);
    builder.SetInsertPoint(end);
    llvm::FunctionCallee diverged = module.getOrInsertFunction(
        kSimdgroupDivergedFunction,
        llvm::FunctionType::get(builder.getVoidTy(),
                                {builder.getPtrTy(), builder.getPtrTy(), builder.getInt32Ty()},
                                false));
    builder.CreateCall(diverged,
                       {function.getArg(2), function.getArg(1), barrier->getArgOperand(1)});
    builder.CreateRetVoid();
    end->eraseFromParent();
    barrier->eraseFromParent();
  }
}

// `rest` is what stays of the program that `exit` was.
EarlyExit apart(llvm::Function* leaves, llvm::Function*& exit, llvm::Function* rest) {
  EarlyExit made{leaves, exit};
  exit->setName("exit");
  rest->setName("rest");
  for (llvm::Function* function : {exit, rest})
    function->setLinkage(llvm::GlobalValue::InternalLinkage);
  exit->addFnAttr(llvm::Attribute::NoInline);
  exit = rest;
  return made;
}

// A threadgroup takes it as a whole or not at all.
std::optional<EarlyExit> take_off_branch(llvm::Function*& function,
                                         llvm::ArrayRef<llvm::CallInst*> barriers) {
  const std::optional<Way> way = find_way_out(*function, barriers);
  if (!way)
    return std::nullopt;
  llvm::Function* leaves = make_condition(
      *function, *way->branch->getCondition(), [&](llvm::IRBuilder<>& builder, Value* condition) {
        return way->out == 0 ? condition : builder.CreateNot(condition);
      });
  if (!leaves)
    return std::nullopt;
  llvm::ValueToValueMapTy values;
  llvm::Function* rest = llvm::CloneFunction(function, values);
  const Value* copy = values[way->branch];
  go_always(*const_cast<llvm::BranchInst*>(llvm::cast<llvm::BranchInst>(copy)), 1 - way->out);
  go_always(*way->branch, way->out);
  return apart(leaves, function, rest);
}

// Lanes of the only simdgroup that do not come to a barrier.
std::optional<EarlyExit> take_off_lanes(llvm::Function*& function,
                                        llvm::ArrayRef<llvm::CallInst*> barriers,
                                        llvm::TargetMachine& target) {
  for (llvm::CallInst* barrier : barriers) {
    Value* mask = all_lanes_reach(barrier) ? nullptr : mask_of(barrier->getArgOperand(2));
    auto* all = llvm::dyn_cast<llvm::ConstantInt>(barrier->getArgOperand(3));
    mask = mask && all ? known_before(*function, mask) : nullptr;
    if (!mask)
      continue;
    llvm::Function* leaves =
        make_condition(*function, *mask, [&](llvm::IRBuilder<>& builder, Value* lanes) {
          return builder.CreateICmpNE(builder.CreateBitCast(lanes, builder.getInt32Ty()), all);
        });
    if (!leaves)
      continue;
    llvm::ValueToValueMapTy values;
    llvm::Function* rest = llvm::CloneFunction(function, values);
    know(values[mask], all->getValue(), true);
    simplify_vectors(*rest, target);
    end_where_lanes_wait(*function, barriers);
    EarlyExit made = apart(leaves, function, rest);
    made.is_of_lanes = true;
    return made;
  }
  return std::nullopt;
}

} // namespace

std::vector<EarlyExit> take_off_early_exits(llvm::Function*& function, const Shape& shape,
                                            llvm::TargetMachine& target) {
  const bool is_single = shape.count() <= kSimdgroupSize;
  std::vector<EarlyExit> exits;
  while (exits.size() < kMostExits) {
    const std::optional<StateUses> uses = uses_of_state(*function, is_single);
    if (!uses || uses->barriers.empty())
      break;
    std::optional<EarlyExit> exit = take_off_branch(function, uses->barriers);
    if (exit && is_single)
      simplify_vectors(*function, target);
    else if (!exit && is_single)
      exit = take_off_lanes(function, uses->barriers, target);
    if (!exit)
      break;
    exits.push_back(*exit);
  }
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
      Value* bit =
          builder.CreateZExt(repeat_condition(builder, *exits[i].leaves, launch, threadgroup, k),
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
