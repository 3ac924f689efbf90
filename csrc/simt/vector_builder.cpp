// Values of the vector program: scalars, parts, patterns, masks.
#include "simt/vector_builder.h"

#include "simt/launch.h"

#include <llvm/IR/DebugInfoMetadata.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>
#include <llvm/Transforms/Utils/PromoteMemToReg.h>

namespace metalwright::simt {

using llvm::Type;
using llvm::Value;

void refuse(const llvm::Instruction& instruction, std::string reason) {
  Refusal refusal{std::move(reason), {}, 0};
  if (const llvm::DebugLoc& location = instruction.getDebugLoc()) {
    refusal.line = location.getLine();
    if (const auto* scope = llvm::dyn_cast_or_null<llvm::DIScope>(location.getScope()))
      refusal.file = scope->getFilename().str();
  }
  throw refusal;
}

void collect_leaves(Type* type, llvm::SmallVectorImpl<Type*>& leaves) {
  if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type)) {
    leaves.append(vector->getNumElements(), vector->getElementType());
  } else if (auto* array = llvm::dyn_cast<llvm::ArrayType>(type)) {
    for (std::uint64_t i = 0; i < array->getNumElements(); ++i)
      collect_leaves(array->getElementType(), leaves);
  } else if (auto* structure = llvm::dyn_cast<llvm::StructType>(type)) {
    for (Type* element : structure->elements())
      collect_leaves(element, leaves);
  } else {
    leaves.push_back(type);
  }
}

unsigned count_leaves(Type* type) {
  llvm::SmallVector<Type*, 8> leaves;
  collect_leaves(type, leaves);
  return static_cast<unsigned>(leaves.size());
}

VectorBuilder::VectorBuilder(llvm::Function& source, const LaneAnalysis& lanes,
                             const llvm::LoopInfo& loops, const Shape& shape, const char* name)
    : source_(source), lanes_(lanes), schedule_(lanes.schedule()), loops_(loops), shape_(shape),
      is_full_(shape.is_full()), name_(name), module_(*source.getParent()),
      context_(source.getContext()), layout_(module_.getDataLayout()), builder_(context_) {}

llvm::Function* VectorBuilder::build() {
  declare();
  for (llvm::BasicBlock* block : schedule_.blocks()) {
    build_block(*block);
    const llvm::Loop* loop = loops_.getLoopFor(block);
    if (loop && loop->getLoopLatch() == block)
      build_way_back(*block);
  }
  for (Node node = 0; node < test_.size(); ++node)
    if (test_[node])
      build_test(node);
  llvm::EliminateUnreachableBlocks(*function_);
  repair_ssa();
  llvm::DominatorTree dominators(*function_);
  std::vector<llvm::AllocaInst*> promotable;
  for (llvm::AllocaInst* slot : slots_)
    if (llvm::isAllocaPromotable(slot))
      promotable.push_back(slot);
  llvm::PromoteMemToReg(promotable, dominators);
  return function_;
}

// ------------------------------------------------------------------------------ values

Value* VectorBuilder::splat(Value* value) {
  return builder_.CreateVectorSplat(kLanes, value);
}

Value* VectorBuilder::scalar(const Value* value) {
  if (const auto* constant = llvm::dyn_cast<llvm::Constant>(value)) {
    if (!LaneAnalysis::is_matrix(value->getType()))
      return const_cast<Value*>(value);
    // A thread's view: its own two elements come first, the rest means nothing. Those of all
    // threads together are the even and the odd columns.
    llvm::SmallVector<llvm::Constant*, 64> elements;
    for (unsigned i = 0; i < 64; ++i)
      elements.push_back(constant->getAggregateElement(i % 2));
    return llvm::ConstantVector::get(elements);
  }
  if (Value* known = scalars_.lookup(value))
    return known;
  if (Value* known = firsts_.lookup(value); known && lanes_.pattern(value).is_constant())
    return known;
  if (const auto* instruction = llvm::dyn_cast<llvm::Instruction>(value))
    refuse(
        *instruction,
        std::string("a value that should be the same for all threads of a simdgroup and is not: ") +
            instruction->getOpcodeName());
  throw Refusal{"a value of an unknown kind", {}, 0};
}

static void flatten(llvm::IRBuilder<>& builder, Value* value, Type* type,
                    llvm::SmallVectorImpl<unsigned>& path, Parts& leaves) {
  auto read = [&] { return path.empty() ? value : builder.CreateExtractValue(value, path); };
  if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type)) {
    Value* whole = read();
    for (unsigned i = 0; i < vector->getNumElements(); ++i)
      leaves.push_back(builder.CreateExtractElement(whole, i));
  } else if (type->isAggregateType()) {
    const auto count =
        type->isArrayTy() ? type->getArrayNumElements() : type->getStructNumElements();
    for (unsigned i = 0; i < count; ++i) {
      path.push_back(i);
      flatten(builder, value,
              type->isArrayTy() ? type->getArrayElementType() : type->getStructElementType(i), path,
              leaves);
      path.pop_back();
    }
  } else {
    leaves.push_back(read());
  }
}

Parts VectorBuilder::parts(const Value* value) {
  if (const auto found = parts_.find(value); found != parts_.end())
    return found->second;
  Parts result;
  llvm::SmallVector<unsigned, 4> path;
  flatten(builder_, scalar(value), value->getType(), path, result);
  for (Value*& leaf : result)
    leaf = splat(leaf);
  return result;
}

Value* VectorBuilder::part(const Value* value) {
  return parts(value).front();
}

Value* VectorBuilder::first(const Value* value) {
  if (Value* known = firsts_.lookup(value))
    return known;
  return scalar(value);
}

// A pattern's offset in a lane that may not be known: a line has a formula, anything else a table.
Value* VectorBuilder::offset_of(const Pattern& pattern, Value* lane, Type* type) {
  if (pattern.is_constant())
    return llvm::ConstantInt::get(type, 0);
  if (const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(lane))
    return llvm::ConstantInt::getSigned(type, pattern.offset[constant->getZExtValue()]);
  const std::int64_t step = pattern.offset[1];
  bool is_line = true;
  for (unsigned i = 0; i < kLanes; ++i)
    is_line &= pattern.offset[i] == static_cast<std::int64_t>(i) * step;
  if (is_line)
    return builder_.CreateMul(builder_.CreateZExtOrTrunc(lane, type),
                              llvm::ConstantInt::getSigned(type, step));
  std::array<std::uint64_t, kLanes> numbers{};
  for (unsigned i = 0; i < kLanes; ++i)
    numbers[i] = static_cast<std::uint64_t>(pattern.offset[i]);
  llvm::Constant* table = llvm::ConstantDataArray::get(context_, numbers);
  auto* global = new llvm::GlobalVariable(module_, table->getType(), true,
                                          llvm::GlobalValue::PrivateLinkage, table);
  Value* address = builder_.CreateGEP(builder_.getInt64Ty(), global,
                                      builder_.CreateZExt(lane, builder_.getInt64Ty()));
  return builder_.CreateZExtOrTrunc(builder_.CreateLoad(builder_.getInt64Ty(), address), type);
}

static Value* advance(llvm::IRBuilder<>& builder, Value* value, Value* offset) {
  return value->getType()->isPointerTy() ? builder.CreateGEP(builder.getInt8Ty(), value, offset)
                                         : builder.CreateAdd(value, offset);
}

Value* VectorBuilder::in_lane(const Value* value, Value* lane) {
  const Pattern& pattern = lanes_.pattern(value);
  Type* offset_type = value->getType()->isPointerTy() ? builder_.getInt64Ty() : value->getType();
  if (pattern.is_exact())
    return advance(builder_, first(value), offset_of(pattern, lane, offset_type));
  // Assumed: the same arithmetic again, for this lane alone.
  const auto* instruction = llvm::cast<llvm::Instruction>(value);
  llvm::Instruction* copy = instruction->clone();
  for (llvm::Use& operand : copy->operands())
    if (!llvm::isa<llvm::Constant>(operand.get()))
      operand.set(in_lane(operand.get(), lane));
  copy->dropPoisonGeneratingAnnotations();
  copy->setDebugLoc({});
  return builder_.Insert(copy);
}

llvm::Constant* VectorBuilder::offsets_vector(const Pattern& pattern, Type* element) {
  llvm::SmallVector<llvm::Constant*, kLanes> elements;
  for (const std::int64_t offset : pattern.offset)
    elements.push_back(llvm::ConstantInt::getSigned(element, offset));
  return llvm::ConstantVector::get(elements);
}

llvm::AllocaInst* VectorBuilder::slot(Type* type) {
  llvm::IRBuilder<> entry(entry_, entry_->begin());
  llvm::AllocaInst* slot = entry.CreateAlloca(type);
  slots_.push_back(slot);
  return slot;
}

Value* VectorBuilder::spill(Value* vector) {
  llvm::IRBuilder<> entry(entry_, entry_->begin());
  llvm::AllocaInst* memory = entry.CreateAlloca(vector->getType());
  memory->setAlignment(llvm::Align(64));
  builder_.CreateStore(vector, memory);
  return memory;
}

// ------------------------------------------------------------------------------ masks

bool VectorBuilder::is_full_mask() const {
  const auto* constant = llvm::dyn_cast<llvm::Constant>(mask_);
  return constant && constant->isAllOnesValue();
}

Value* VectorBuilder::mask_bits() {
  if (is_full_mask())
    return builder_.getInt32(~0u);
  if (!mask_bits_)
    mask_bits_ = builder_.CreateBitCast(mask_, builder_.getInt32Ty());
  return mask_bits_;
}

Value* VectorBuilder::first_lane() {
  if (is_full_mask())
    return builder_.getInt32(0);
  if (!first_lane_)
    first_lane_ = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, mask_bits(),
                                                 builder_.getTrue()); // a mask is never empty
  return first_lane_;
}

Value* VectorBuilder::all_lanes() {
  return builder_.CreateBitCast(initial_mask_, builder_.getInt32Ty());
}

// The condition may be poison in lanes outside the mask.
Value* VectorBuilder::both(Value* mask, Value* condition) {
  return builder_.CreateLogicalAnd(mask, condition);
}

// `i < n` where lane l has i + l * step: how many lanes pass is scalar arithmetic, which costs next
// to nothing beside vectors, where a comparison of 32 lanes takes seven instructions. No lane
// wraps, since the low bits of lane 0's value are known to be 0.
Value* VectorBuilder::mask_of_first_lanes(const llvm::ICmpInst& compare) {
  llvm::CmpInst::Predicate predicate = compare.getPredicate();
  const Value* line = compare.getOperand(0);
  const Value* limit = compare.getOperand(1);
  if (!compare.isRelational())
    return nullptr;
  if (is_varying(limit)) {
    std::swap(line, limit);
    predicate = llvm::CmpInst::getSwappedPredicate(predicate);
  }
  const auto* type = llvm::dyn_cast<llvm::IntegerType>(line->getType());
  if (is_varying(limit) || !type || type->getBitWidth() < 32)
    return nullptr;
  const Pattern& pattern = lanes_.pattern(line);
  const std::int64_t step = pattern.offset[1];
  if (!pattern.is_exact() || step <= 0 || step > 64 || !llvm::isPowerOf2_64(step))
    return nullptr;
  for (unsigned i = 0; i < kLanes; ++i)
    if (pattern.offset[i] != static_cast<std::int64_t>(i) * step)
      return nullptr;
  const auto span = static_cast<std::uint64_t>(step) * kLanes;
  if (pattern.first.countMinTrailingZeros() < llvm::Log2_64(span))
    return nullptr;
  // line < limit, or else not (line < limit); line <= limit is line < limit + 1, of which only the
  // distance is computed.
  const bool negated = llvm::ICmpInst::isGT(predicate) || llvm::ICmpInst::isGE(predicate);
  if (negated)
    predicate = llvm::CmpInst::getInversePredicate(predicate);
  Value* begin = first(line);
  Value* end = scalar(limit);
  Value* zero = llvm::ConstantInt::get(begin->getType(), 0);
  Value* distance =
      builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, builder_.CreateSub(end, begin),
                                     llvm::ConstantInt::get(begin->getType(), span));
  const std::uint64_t rounding =
      llvm::CmpInst::isTrueWhenEqual(predicate) ? static_cast<std::uint64_t>(step) : step - 1;
  Value* lanes = builder_.CreateLShr(
      builder_.CreateAdd(distance, llvm::ConstantInt::get(begin->getType(), rounding)),
      llvm::Log2_64(static_cast<std::uint64_t>(step)));
  lanes = builder_.CreateSelect(builder_.CreateICmp(predicate, begin, end), lanes, zero);
  // 33 lanes at most: one mask more than the bits of a word.
  Value* bits = builder_.CreateShl(llvm::ConstantInt::get(builder_.getInt64Ty(), ~std::uint64_t{0}),
                                   builder_.CreateZExtOrTrunc(lanes, builder_.getInt64Ty()));
  bits = builder_.CreateTrunc(bits, builder_.getInt32Ty());
  if (!negated)
    bits = builder_.CreateNot(bits);
  return builder_.CreateBitCast(bits, wide(builder_.getInt1Ty()));
}

Value* VectorBuilder::any(Value* mask) {
  return builder_.CreateICmpNE(builder_.CreateBitCast(mask, builder_.getInt32Ty()),
                               builder_.getInt32(0));
}

} // namespace metalwright::simt
