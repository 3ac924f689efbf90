// Loads and stores by the shape of their addresses: one address, a stretch of memory, or any.
#include "simt/vector_access.h"

#include <llvm/IR/Module.h>

#include <algorithm>
#include <map>

namespace metalwright::simt {

using llvm::Type;
using llvm::Value;

// What some lanes access together, counted in elements from the lowest.
struct Span {
  std::int64_t lowest = 0;
  unsigned length = 0;
  llvm::SmallVector<unsigned, 32> place;                  // of each lane's first element
  llvm::SmallVector<llvm::SmallVector<int, 2>, 64> lanes; // that access each element
  unsigned shared = 0;                                    // lanes at one element, at most
  bool has_gaps = false;
};

static std::optional<Span> find_span(const Pattern& pattern, unsigned leaves, unsigned size,
                                     unsigned begin, unsigned count) {
  Span span;
  std::int64_t lowest = INT64_MAX;
  std::int64_t highest = INT64_MIN;
  for (unsigned i = begin; i < begin + count; ++i) {
    if (pattern.offset[i] % static_cast<std::int64_t>(size) != 0)
      return std::nullopt;
    const std::int64_t place = pattern.offset[i] / static_cast<std::int64_t>(size);
    lowest = std::min(lowest, place);
    highest = std::max(highest, place);
  }
  // At most four times what is used.
  const auto reach = static_cast<std::uint64_t>(highest) - static_cast<std::uint64_t>(lowest);
  if (reach >= std::uint64_t{4} * count * leaves || reach + leaves > 256)
    return std::nullopt;
  span.lowest = lowest;
  span.length = static_cast<unsigned>(reach) + leaves;
  span.lanes.resize(span.length);
  for (unsigned i = begin; i < begin + count; ++i) {
    const auto place =
        static_cast<unsigned>(pattern.offset[i] / static_cast<std::int64_t>(size) - lowest);
    span.place.push_back(place);
    for (unsigned leaf = 0; leaf < leaves; ++leaf)
      span.lanes[place + leaf].push_back(static_cast<int>(i));
  }
  for (const auto& lanes : span.lanes) {
    span.shared = std::max(span.shared, static_cast<unsigned>(lanes.size()));
    span.has_gaps |= lanes.empty();
  }
  if (span.has_gaps || !llvm::isPowerOf2_32(span.length)) {
    // Odd lengths make poor code; what is added is masked off.
    span.length = std::max(4u, static_cast<unsigned>(llvm::PowerOf2Ceil(span.length)));
    span.has_gaps |= span.lanes.size() < span.length;
    span.lanes.resize(span.length);
  }
  return span;
}

// Which elements are accessed, or null where too many lanes share one.
Value* VectorBuilder::element_mask(const Access&, const Span& span) {
  llvm::SmallVector<llvm::Constant*, 64> touched;
  for (const auto& lanes : span.lanes)
    touched.push_back(builder_.getInt1(!lanes.empty()));
  if (is_full_mask())
    return llvm::ConstantVector::get(touched);
  if (span.shared > 4)
    return nullptr;
  Value* nobody = llvm::Constant::getNullValue(mask_->getType());
  Value* result = nullptr;
  bool is_mask = span.length == kLanes;
  for (unsigned i = 0; i < span.length && is_mask; ++i)
    is_mask = span.lanes[i].size() == 1 && span.lanes[i][0] == static_cast<int>(i);
  if (is_mask)
    return mask_;
  for (unsigned k = 0; k < std::max(1u, span.shared); ++k) {
    llvm::SmallVector<int, 64> source;
    for (const auto& lanes : span.lanes)
      source.push_back(k < lanes.size() ? lanes[k] : static_cast<int>(kLanes));
    Value* some = builder_.CreateShuffleVector(mask_, nobody, source);
    result = result ? builder_.CreateOr(result, some) : some;
  }
  return result;
}

std::optional<VectorBuilder::Access> VectorBuilder::describe(const llvm::Instruction& instruction,
                                                             Type* type, const Value* pointer,
                                                             llvm::Align align) {
  Access access;
  access.element = type->getScalarType();
  if (access.element->isAggregateType() || instruction.isAtomic())
    return std::nullopt;
  if (const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type))
    access.leaves = vector->getNumElements();
  else if (type->isVectorTy())
    return std::nullopt;
  const std::uint64_t bits = layout_.getTypeSizeInBits(access.element);
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
    return std::nullopt;
  access.size = static_cast<unsigned>(bits / 8);
  access.align = align;
  access.is_volatile = instruction.isVolatile();
  access.is_invariant = instruction.hasMetadata(llvm::LLVMContext::MD_invariant_load);
  access.pattern = lanes_.pattern(pointer);
  return access;
}

Value* VectorBuilder::base_address(const Value* pointer) {
  const Pattern& pattern = lanes_.pattern(pointer);
  if (pattern.is_exact())
    return first(pointer);
  Value* lane = first_lane();
  Value* back = builder_.CreateNeg(offset_of(pattern, lane, builder_.getInt64Ty()));
  return builder_.CreateGEP(builder_.getInt8Ty(), in_lane(pointer, lane), back);
}

static std::string why_apart(const Pattern& pattern) {
  if (pattern.group == 0)
    return "the addresses of its 32 threads follow no pattern that is known when it is compiled";
  return "the addresses of its 32 threads are far apart or in the way of each other";
}

// ------------------------------------------------------------------------------ prefetching

// By how much an integer or address grows per round of the loop, as far as it is written out.
static std::optional<std::int64_t> step_of(const Value* value, const llvm::Loop& loop,
                                           const llvm::DataLayout& layout, unsigned depth = 0) {
  const auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
  if (!instruction || !loop.contains(instruction))
    return 0;
  if (depth == 8)
    return std::nullopt;
  auto operand = [&](unsigned i) {
    return step_of(instruction->getOperand(i), loop, layout, depth + 1);
  };
  auto constant = [&](unsigned i) -> std::optional<std::int64_t> {
    const auto* number = llvm::dyn_cast<llvm::ConstantInt>(instruction->getOperand(i));
    if (!number || number->getValue().getSignificantBits() > 32)
      return std::nullopt;
    return number->getSExtValue();
  };
  if (const auto* phi = llvm::dyn_cast<llvm::PHINode>(instruction)) {
    if (phi->getParent() != loop.getHeader() || !loop.getLoopLatch())
      return std::nullopt;
    const auto* next =
        llvm::dyn_cast<llvm::Instruction>(phi->getIncomingValueForBlock(loop.getLoopLatch()));
    if (!next || next->getOpcode() != llvm::Instruction::Add || next->getOperand(0) != phi)
      return std::nullopt;
    const auto* number = llvm::dyn_cast<llvm::ConstantInt>(next->getOperand(1));
    if (!number || number->getValue().getSignificantBits() > 32)
      return std::nullopt;
    return number->getSExtValue();
  }
  switch (instruction->getOpcode()) {
  case llvm::Instruction::ZExt:
  case llvm::Instruction::SExt:
    return operand(0);
  case llvm::Instruction::Add:
  case llvm::Instruction::Or: { // of bits that are apart
    if (instruction->getOpcode() == llvm::Instruction::Or &&
        !llvm::cast<llvm::PossiblyDisjointInst>(instruction)->isDisjoint())
      return std::nullopt;
    const auto left = operand(0), right = operand(1);
    if (!left || !right)
      return std::nullopt;
    return *left + *right;
  }
  case llvm::Instruction::Shl: {
    const auto left = operand(0), amount = constant(1);
    if (!left || !amount || *amount < 0 || *amount > 16)
      return std::nullopt;
    return *left * (std::int64_t{1} << *amount);
  }
  case llvm::Instruction::Mul: {
    const auto left = operand(0), factor = constant(1);
    if (!left || !factor)
      return std::nullopt;
    return *left * *factor;
  }
  case llvm::Instruction::GetElementPtr: {
    const auto& gep = llvm::cast<llvm::GetElementPtrInst>(*instruction);
    if (gep.getNumIndices() != 1)
      return std::nullopt;
    const auto base = operand(0), index = operand(1);
    if (!base || !index)
      return std::nullopt;
    return *base +
           *index * static_cast<std::int64_t>(
                        layout.getTypeAllocSize(gep.getSourceElementType()).getFixedValue());
  }
  default:
    return std::nullopt;
  }
}

// `for (i = t; i < n; i += threads)`: the simdgroups of a threadgroup access memory that follows
// each other, but one runs all its rounds before the next one begins. So a processor sees two lines
// of memory in every thousand bytes or so, which it does not fetch ahead. What comes some thousand
// bytes later is accessed soon: by this simdgroup, or by the same one of the next threadgroup,
// whose row follows in memory. A prefetch of what is not there does nothing.
void VectorBuilder::prefetch(const llvm::Instruction& instruction, const Access& access,
                             Value* base) {
  constexpr std::uint64_t ahead = 16384;
  constexpr std::uint64_t line = 64;
  const llvm::Loop* loop = loops_.getLoopFor(instruction.getParent());
  const std::uint64_t own = std::uint64_t{access.size} * access.leaves;
  if (!loop || !shape_.is_known() || shape_.count() <= kLanes ||
      shape_.threads[1] * shape_.threads[2] != 1)
    return;
  for (unsigned i = 0; i < kLanes; ++i)
    if (access.pattern.offset[i] != static_cast<std::int64_t>(i * own))
      return;
  // What is stored past the cache must not be fetched into it.
  if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction); store && shape_.streams)
    if (const auto slot = slot_of(store->getPointerOperand(), *store->getFunction());
        slot && contains(shape_.streams, *slot))
      return;
  const auto step = step_of(llvm::getLoadStorePointerOperand(&instruction), *loop, layout_);
  if (!step || *step != static_cast<std::int64_t>(shape_.count() * own))
    return;
  for (std::uint64_t offset = 0; offset < kLanes * own; offset += line)
    builder_.CreateIntrinsic(
        llvm::Intrinsic::prefetch, {builder_.getPtrTy()},
        {builder_.CreateConstGEP1_64(builder_.getInt8Ty(), base, ahead + offset),
         builder_.getInt32(llvm::isa<llvm::StoreInst>(instruction)), builder_.getInt32(2),
         builder_.getInt32(1)});
}

// ------------------------------------------------------------------------------ loads

Parts VectorBuilder::load_span(const Access& access, Value* base, unsigned begin, unsigned count) {
  const std::optional<Span> span =
      find_span(access.pattern, access.leaves, access.size, begin, count);
  if (!span)
    return {};
  Value* touched = element_mask(access, *span);
  if (!touched)
    return {};
  Value* address = builder_.CreateGEP(
      builder_.getInt8Ty(), base,
      llvm::ConstantInt::getSigned(builder_.getInt64Ty(), span->lowest * access.size));
  const llvm::Align align = std::min(access.align, llvm::Align(access.size));
  auto* type = llvm::FixedVectorType::get(access.element, span->length);
  llvm::Instruction* all = nullptr;
  if (is_full_mask() && !span->has_gaps)
    all = builder_.CreateAlignedLoad(type, address, align);
  else
    all = builder_.CreateMaskedLoad(type, address, align, touched, llvm::PoisonValue::get(type));
  access.mark(all);
  Parts results;
  for (unsigned leaf = 0; leaf < access.leaves; ++leaf) {
    llvm::SmallVector<int, 32> source;
    bool is_all = span->length == count;
    for (unsigned i = 0; i < count; ++i) {
      source.push_back(static_cast<int>(span->place[i] + leaf));
      is_all &= source.back() == static_cast<int>(i);
    }
    results.push_back(is_all ? all : builder_.CreateShuffleVector(all, source));
  }
  return results;
}

// A few addresses that many lanes share: a load of each.
Parts VectorBuilder::load_few(const Access& access, Value* base) {
  std::map<std::int64_t, int> places;
  for (const std::int64_t offset : access.pattern.offset)
    places.emplace(offset, 0);
  if (places.size() > 4 || (places.size() > 1 && !is_full_mask()))
    return {};
  llvm::SmallVector<Value*, 4> few(access.leaves, nullptr);
  auto* type = llvm::FixedVectorType::get(access.element, std::max<unsigned>(2, places.size()));
  const llvm::Align align = std::min(access.align, llvm::Align(access.size));
  int number = 0;
  for (auto& [offset, place] : places) {
    place = number++;
    for (unsigned leaf = 0; leaf < access.leaves; ++leaf) {
      Value* address = builder_.CreateGEP(
          builder_.getInt8Ty(), base,
          llvm::ConstantInt::getSigned(builder_.getInt64Ty(), offset + leaf * access.size));
      llvm::LoadInst* load = builder_.CreateAlignedLoad(access.element, address, align);
      access.mark(load);
      few[leaf] = builder_.CreateInsertElement(few[leaf] ? few[leaf] : llvm::PoisonValue::get(type),
                                               load, place);
    }
  }
  llvm::SmallVector<int, kLanes> source;
  for (const std::int64_t offset : access.pattern.offset)
    source.push_back(places[offset]);
  Parts results;
  for (Value* values : few)
    results.push_back(builder_.CreateShuffleVector(values, source));
  return results;
}

Parts VectorBuilder::gather(Value* addresses, const Access& access) {
  Parts results;
  for (unsigned leaf = 0; leaf < access.leaves; ++leaf) {
    Value* places = leaf == 0 ? addresses
                              : builder_.CreateGEP(builder_.getInt8Ty(), addresses,
                                                   builder_.getInt64(leaf * access.size));
    const llvm::Align align = std::min(access.align, llvm::Align(access.size));
    if (access.size >= 4) {
      llvm::CallInst* some =
          builder_.CreateMaskedGather(wide(access.element), places, align, mask_);
      access.mark(some);
      results.push_back(some);
      continue;
    }
    if (align.value() < access.size)
      return {};
    // Machines gather words: the aligned word around an element never crosses a page.
    Type* word = wide(builder_.getInt64Ty());
    Value* numbers = builder_.CreatePtrToInt(places, word);
    Value* words = builder_.CreateIntToPtr(
        builder_.CreateAnd(numbers, llvm::ConstantInt::get(word, ~std::uint64_t{3})),
        places->getType());
    Value* value =
        builder_.CreateMaskedGather(wide(builder_.getInt32Ty()), words, llvm::Align(4), mask_);
    Value* shift = builder_.CreateTrunc(
        builder_.CreateShl(builder_.CreateAnd(numbers, llvm::ConstantInt::get(word, 3)), 3),
        wide(builder_.getInt32Ty()));
    value = builder_.CreateTrunc(builder_.CreateLShr(value, shift),
                                 wide(builder_.getIntNTy(8 * access.size)));
    results.push_back(builder_.CreateBitCast(value, wide(access.element)));
  }
  return results;
}

void VectorBuilder::build_load(llvm::LoadInst& load) {
  const Value* pointer = load.getPointerOperand();
  const std::optional<Access> access = describe(load, load.getType(), pointer, load.getAlign());
  if (!access || access->is_volatile)
    return build_by_lane(load);
  const Pattern& pattern = access->pattern;
  Parts results;
  if (pattern.group == kLanes) {
    Value* base = base_address(pointer);
    results = load_few(*access, base);
    if (results.empty()) {
      prefetch(load, *access, base);
      results = load_span(*access, base, 0, kLanes);
    }
  } else if (pattern.group != 0 && (!pattern.assumed || is_full_mask())) {
    // Each group has an address of its own.
    Value* addresses = part(pointer);
    llvm::SmallVector<Parts, 4> groups;
    for (unsigned begin = 0; begin < kLanes; begin += pattern.group) {
      Value* base = builder_.CreateExtractElement(addresses, begin);
      groups.push_back(load_span(*access, base, begin, pattern.group));
      if (groups.back().empty())
        break;
    }
    if (!groups.back().empty())
      for (unsigned leaf = 0; leaf < access->leaves; ++leaf) {
        llvm::SmallVector<Value*, 4> pieces;
        for (const Parts& group : groups)
          pieces.push_back(group[leaf]);
        results.push_back(concatenate(builder_, std::move(pieces)));
      }
  }
  if (results.empty() && is_in_rows(*access))
    results = load_rows(pointer, *access);
  if (results.empty()) {
    results = gather(part(pointer), *access);
    if (results.empty())
      return build_by_lane(load);
    note(load, "a load that gathers: " + why_apart(pattern));
  }
  set_parts(&load, std::move(results));
}

// ------------------------------------------------------------------------------ stores

bool VectorBuilder::store_span(const Access& access, Value* base, unsigned begin, unsigned count,
                               const Parts& values) {
  const std::optional<Span> span =
      find_span(access.pattern, access.leaves, access.size, begin, count);
  if (!span || span->shared > 1)
    return false;
  Value* touched = element_mask(access, *span);
  Value* address = builder_.CreateGEP(
      builder_.getInt8Ty(), base,
      llvm::ConstantInt::getSigned(builder_.getInt64Ty(), span->lowest * access.size));
  // Element e of the stretch is leaf `e - place` of the lane that owns it.
  llvm::SmallVector<int, 64> source;
  bool is_all = access.leaves == 1 && span->length == kLanes;
  for (unsigned e = 0; e < span->length; ++e) {
    if (span->lanes[e].empty()) {
      source.push_back(llvm::PoisonMaskElem);
      is_all = false;
      continue;
    }
    const auto lane = static_cast<unsigned>(span->lanes[e].front());
    source.push_back(static_cast<int>((e - span->place[lane - begin]) * kLanes + lane));
    is_all &= source.back() == static_cast<int>(e);
  }
  Value* all =
      is_all ? values.front() : builder_.CreateShuffleVector(concatenate(builder_, values), source);
  const llvm::Align align = std::min(access.align, llvm::Align(access.size));
  if (is_full_mask() && !span->has_gaps)
    builder_.CreateAlignedStore(all, address, align);
  else
    builder_.CreateMaskedStore(all, address, align, touched);
  return true;
}

bool VectorBuilder::scatter(Value* addresses, const Access& access, const Parts& values) {
  if (access.size < 4)
    return false;
  const llvm::Align align = std::min(access.align, llvm::Align(access.size));
  for (unsigned leaf = 0; leaf < access.leaves; ++leaf) {
    Value* places = leaf == 0 ? addresses
                              : builder_.CreateGEP(builder_.getInt8Ty(), addresses,
                                                   builder_.getInt64(leaf * access.size));
    builder_.CreateMaskedScatter(values[leaf], places, align, mask_);
  }
  return true;
}

void VectorBuilder::build_store(llvm::StoreInst& store) {
  const Value* pointer = store.getPointerOperand();
  Value* value = store.getValueOperand();
  const std::optional<Access> access = describe(store, value->getType(), pointer, store.getAlign());
  if (!access || access->is_volatile)
    return build_by_lane(store);
  const Parts values = parts(value);
  const Pattern& pattern = access->pattern;
  if (pattern.group == kLanes) {
    Value* base = base_address(pointer);
    if (pattern.is_constant()) {
      // Lanes store in order: the last one's value stays.
      Value* last = builder_.getInt32(kLanes - 1);
      if (!is_full_mask())
        last = builder_.CreateSub(
            last,
            builder_.CreateBinaryIntrinsic(llvm::Intrinsic::ctlz, mask_bits(), builder_.getTrue()));
      for (unsigned leaf = 0; leaf < access->leaves; ++leaf)
        builder_.CreateAlignedStore(
            builder_.CreateExtractElement(values[leaf], last),
            builder_.CreateConstGEP1_64(builder_.getInt8Ty(), base, leaf * access->size),
            std::min(access->align, llvm::Align(access->size)));
      return;
    }
    prefetch(store, *access, base);
    if (store_span(*access, base, 0, kLanes, values))
      return;
  } else if (pattern.group != 0 && (!pattern.assumed || is_full_mask())) {
    bool fits = true;
    for (unsigned begin = 0; begin < kLanes; begin += pattern.group) {
      const std::optional<Span> span =
          find_span(pattern, access->leaves, access->size, begin, pattern.group);
      fits &= span && span->shared <= 1;
    }
    if (fits) {
      Value* addresses = part(pointer);
      for (unsigned begin = 0; begin < kLanes; begin += pattern.group)
        store_span(*access, builder_.CreateExtractElement(addresses, begin), begin, pattern.group,
                   values);
      return;
    }
  }
  if (!is_in_rows(*access)) {
    if (!scatter(part(pointer), *access, values))
      return build_by_lane(store);
    return note(store, "a store that scatters: " + why_apart(pattern));
  }
  const LaneAddresses addresses = lane_addresses(pointer);
  if (is_full_mask())
    return store_rows(addresses, *access, values);
  llvm::BasicBlock* whole = llvm::BasicBlock::Create(context_, "whole", function_);
  llvm::BasicBlock* some = llvm::BasicBlock::Create(context_, "some", function_);
  llvm::BasicBlock* done = llvm::BasicBlock::Create(context_, "", function_);
  builder_.CreateCondBr(builder_.CreateICmpEQ(mask_bits(), builder_.getInt32(~0u)), whole, some);
  builder_.SetInsertPoint(whole);
  store_rows(addresses, *access, values);
  builder_.CreateBr(done);
  builder_.SetInsertPoint(some);
  if (!scatter(part(pointer), *access, values))
    build_by_lane(store);
  builder_.CreateBr(done);
  builder_.SetInsertPoint(done);
}

} // namespace metalwright::simt
