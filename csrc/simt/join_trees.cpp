// Recognises the trees of build_reduction(), and packs them.
#include "simt/join_trees.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/bit.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Transforms/Utils/Local.h>

#include <optional>
#include <vector>

namespace metalwright::simt {

namespace {

using llvm::Instruction;
using llvm::Value;

constexpr unsigned kWidth = 16;      // elements of 32 bits in a register of the widest machines
constexpr unsigned kMostMoved = 256; // instructions
constexpr unsigned kMost = 8;        // trees: their last step has a register for all of them

// The two operands of an operation that a reduction may be made of.
std::optional<std::pair<Value*, Value*>> operands_of(Instruction& operation) {
  switch (operation.getOpcode()) {
  case Instruction::FAdd:
  case Instruction::FMul:
  case Instruction::Add:
  case Instruction::Mul:
  case Instruction::And:
  case Instruction::Or:
  case Instruction::Xor:
    return std::pair{operation.getOperand(0), operation.getOperand(1)};
  default:
    break;
  }
  const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&operation);
  if (!call)
    return std::nullopt;
  switch (call->getIntrinsicID()) {
  case llvm::Intrinsic::maxnum:
  case llvm::Intrinsic::minnum:
  case llvm::Intrinsic::smax:
  case llvm::Intrinsic::smin:
  case llvm::Intrinsic::umax:
  case llvm::Intrinsic::umin:
    return std::pair{call->getArgOperand(0), call->getArgOperand(1)};
  default:
    return std::nullopt;
  }
}

// The value whose elements `first` ... `first + count - 1` these are, used here alone.
Value* half_of(Value* value, unsigned first, unsigned count) {
  auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(value);
  if (!shuffle || !shuffle->hasOneUse() || shuffle->getShuffleMask().size() != count)
    return nullptr;
  for (unsigned i = 0; i < count; ++i)
    if (shuffle->getMaskValue(i) != static_cast<int>(first + i))
      return nullptr;
  return shuffle->getOperand(0);
}

// The same operation, on other operands.
Value* repeat(llvm::IRBuilder<>& builder, Instruction& operation, Value* low, Value* high) {
  Value* result = nullptr;
  if (const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&operation))
    result = builder.CreateBinaryIntrinsic(call->getIntrinsicID(), low, high);
  else
    result =
        builder.CreateBinOp(static_cast<Instruction::BinaryOps>(operation.getOpcode()), low, high);
  if (auto* instruction = llvm::dyn_cast<Instruction>(result))
    instruction->copyIRFlags(&operation);
  return result;
}

// The same with the same promises, of whatever number of elements.
bool are_alike(const Instruction& one, const Instruction& other) {
  const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&one);
  const auto* other_call = llvm::dyn_cast<llvm::IntrinsicInst>(&other);
  if (call && other_call && call->getIntrinsicID() != other_call->getIntrinsicID())
    return false;
  return one.isSameOperationAs(&other, Instruction::CompareUsingScalarTypes) &&
         one.getRawSubclassOptionalData() == other.getRawSubclassOptionalData();
}

struct Tree {
  Value* leaves = nullptr; // the vector whose first kWidth elements these are
  Instruction* result;     // the operation of the last step: a vector of one element
};

std::optional<Tree> tree_of(Instruction& last) {
  Tree tree{nullptr, &last};
  Value* value = &last;
  for (unsigned count = 1; count < kWidth; count *= 2) {
    auto* operation = llvm::dyn_cast<Instruction>(value);
    auto* type = llvm::dyn_cast<llvm::FixedVectorType>(value->getType());
    if (!operation || !type || type->getNumElements() != count ||
        type->getScalarSizeInBits() != 32 || operation->getParent() != last.getParent() ||
        (count > 1 && (!operation->hasNUses(2) || !are_alike(*operation, last))))
      return std::nullopt;
    const auto operands = operands_of(*operation);
    if (!operands)
      return std::nullopt;
    // All these operations commute, and passes exchange their operands.
    auto halved = [&](Value* lower, Value* upper) {
      Value* both = half_of(lower, 0, count);
      return both && both == half_of(upper, count, count) ? both : nullptr;
    };
    Value* whole = halved(operands->first, operands->second);
    if (!whole)
      whole = halved(operands->second, operands->first);
    if (!whole)
      return std::nullopt;
    value = whole;
  }
  const auto* type = llvm::dyn_cast<llvm::FixedVectorType>(value->getType());
  if (!type || type->getNumElements() < kWidth)
    return std::nullopt;
  tree.leaves = value;
  return tree;
}

// What of `value` is computed in the block behind the first of `trees`, in an order in which it can
// be moved before it. False if something of it must stay, as what follows from the trees must.
bool collect_behind(Value* value, llvm::ArrayRef<Tree> trees,
                    llvm::SmallPtrSetImpl<Instruction*>& seen,
                    llvm::SmallVectorImpl<Instruction*>& order) {
  const Instruction& place = *trees.front().result;
  auto* instruction = llvm::dyn_cast<Instruction>(value);
  if (!instruction || instruction->getParent() != place.getParent() ||
      instruction->comesBefore(&place) || seen.contains(instruction))
    return true;
  const bool is_bound = instruction->mayReadOrWriteMemory() &&
                        !instruction->hasMetadata(llvm::LLVMContext::MD_invariant_load);
  const bool is_result =
      llvm::any_of(trees, [&](const Tree& tree) { return tree.result == instruction; });
  if (is_result || is_bound || llvm::isa<llvm::PHINode>(instruction) ||
      instruction->isTerminator() || order.size() > kMostMoved)
    return false;
  seen.insert(instruction);
  for (Value* operand : instruction->operands())
    if (!collect_behind(operand, trees, seen, order))
      return false;
  order.push_back(instruction);
  return true;
}

// The first of `trees` and others that can be done where it ends: as many as a power of two.
// `moved`: what has to be computed before.
std::vector<Tree> find_together(llvm::ArrayRef<Tree> trees,
                                llvm::SmallVectorImpl<Instruction*>& moved) {
  std::vector<Tree> found{trees.front()};
  llvm::SmallVector<std::size_t, kMost> needed{0}; // of those moved, for each number of trees
  llvm::SmallPtrSet<Instruction*, 32> seen;
  for (const Tree& tree : trees.drop_front()) {
    if (found.size() == kMost)
      break;
    if (tree.leaves->getType() != found.front().leaves->getType() ||
        !are_alike(*tree.result, *found.front().result))
      continue;
    llvm::SmallPtrSet<Instruction*, 32> seen_too = seen;
    const std::size_t before = moved.size();
    if (!collect_behind(tree.leaves, found, seen_too, moved)) {
      moved.truncate(before);
      continue;
    }
    seen = std::move(seen_too);
    found.push_back(tree);
    needed.push_back(moved.size());
  }
  const std::size_t count = llvm::bit_floor(found.size());
  found.resize(count);
  moved.truncate(needed[count - 1]);
  return found;
}

// Of two packs, so many elements of the one and then of the other are taken in turn: 128 bits
// where segments are no larger, as machines shuffle fastest.
unsigned taken_at_once(unsigned segment) {
  return segment > 4 ? kWidth : 4;
}

// The elements of two packs that are lower halves (0) or upper halves (1) of segments.
llvm::SmallVector<int, kWidth> halves(unsigned segment, unsigned half) {
  llvm::SmallVector<int, kWidth> mask;
  const unsigned chunk = taken_at_once(segment);
  for (unsigned begin = 0; begin < kWidth; begin += chunk)
    for (unsigned pack = 0; pack < 2; ++pack)
      for (unsigned at = begin; at < begin + chunk; at += segment)
        for (unsigned i = 0; i < segment / 2; ++i)
          mask.push_back(static_cast<int>(pack * kWidth + at + half * segment / 2 + i));
  return mask;
}

struct Pack {
  Value* value;
  llvm::SmallVector<unsigned, kMost> trees; // whose segments these are, in order
};

Pack combine(llvm::IRBuilder<>& builder, Instruction& operation, const Pack& low, const Pack& high,
             unsigned segment) {
  Pack result;
  result.value = repeat(builder, operation,
                        builder.CreateShuffleVector(low.value, high.value, halves(segment, 0)),
                        builder.CreateShuffleVector(low.value, high.value, halves(segment, 1)));
  const unsigned trees = taken_at_once(segment) / segment;
  for (unsigned begin = 0; begin < low.trees.size(); begin += trees)
    for (const Pack* pack : {&low, &high})
      result.trees.append(pack->trees.begin() + begin, pack->trees.begin() + begin + trees);
  return result;
}

void join(llvm::ArrayRef<Tree> trees, llvm::ArrayRef<Instruction*> moved) {
  Instruction* place = trees.front().result;
  for (Instruction* instruction : moved)
    instruction->moveBefore(place);
  llvm::IRBuilder<> builder(place);
  Instruction& operation = *place;
  std::vector<Pack> packs;
  llvm::SmallVector<int, kWidth> leaves;
  for (unsigned i = 0; i < kWidth; ++i)
    leaves.push_back(static_cast<int>(i));
  for (unsigned i = 0; i < trees.size(); ++i)
    packs.push_back({builder.CreateShuffleVector(trees[i].leaves, leaves), {i}});
  unsigned segment = kWidth;
  for (; packs.size() > 1; segment /= 2) {
    std::vector<Pack> joined;
    for (std::size_t i = 0; i < packs.size(); i += 2)
      joined.push_back(combine(builder, operation, packs[i], packs[i + 1], segment));
    packs = std::move(joined);
  }
  // The rest in place: the first element of each segment counts.
  Value* value = packs.front().value;
  for (unsigned step = segment / 2; step > 0; step /= 2) {
    llvm::SmallVector<int, kWidth> mask(kWidth, llvm::PoisonMaskElem);
    for (unsigned i = 0; i + step < kWidth; ++i)
      mask[i] = static_cast<int>(i + step);
    value = repeat(builder, operation, value, builder.CreateShuffleVector(value, mask));
  }
  for (unsigned i = 0; i < packs.front().trees.size(); ++i) {
    Instruction* old = trees[packs.front().trees[i]].result;
    const int element = static_cast<int>(i * segment);
    old->replaceAllUsesWith(builder.CreateShuffleVector(value, element));
  }
  for (const Tree& tree : trees)
    llvm::RecursivelyDeleteTriviallyDeadInstructions(tree.result);
}

} // namespace

void join_trees(llvm::Function& function) {
  for (llvm::BasicBlock& block : function) {
    std::vector<Tree> trees;
    for (Instruction& instruction : block)
      if (const std::optional<Tree> tree = tree_of(instruction))
        trees.push_back(*tree);
    while (trees.size() > 1) {
      llvm::SmallVector<Instruction*, 32> moved;
      const std::vector<Tree> together = find_together(trees, moved);
      if (together.size() > 1)
        join(together, moved);
      llvm::erase_if(trees, [&](const Tree& tree) {
        return llvm::any_of(together, [&](const Tree& done) { return done.result == tree.result; });
      });
    }
  }
}

} // namespace metalwright::simt
