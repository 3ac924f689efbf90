// Where elements of all threadgroups lie, and accesses to them.
#include "simt/widener.h"

#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/DataLayout.h>
#include <llvm/IR/InstIterator.h>

#include <algorithm>
#include <cstddef>

namespace metalwright::simt {

using llvm::Instruction;
using llvm::Value;

// Bytes of variables: they should stay in the second level of the cache.
static constexpr std::uint64_t kMostAside = 256 * 1024;
// Lanes whose elements are gathered from threadgroup memory.
static constexpr unsigned kMostApart = 160;
// The size of an element of a mask, which has a bit for each threadgroup.
static constexpr std::uint64_t kBits = ~std::uint64_t{0};

bool Widener::is_aside(Instruction& instruction) const {
  if (aside_.contains(&instruction))
    return true;
  auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(&instruction);
  Instruction* variable = address ? variable_of(address) : nullptr;
  return variable && aside_.contains(variable);
}

void Widener::emit_aside(Instruction& instruction) {
  if (memories_.contains(&instruction)) {
    copy(instruction);
    places_[&instruction] = base(&instruction);
    return;
  }
  if (auto* variable = llvm::dyn_cast<llvm::AllocaInst>(&instruction)) {
    const std::optional<llvm::TypeSize> size = variable->getAllocationSize(layout_);
    if (!size || (put_aside_ += size->getFixedValue() * width_) > kMostAside) {
      fail();
      return;
    }
    llvm::AllocaInst* made = builder_.CreateAlloca(
        llvm::ArrayType::get(builder_.getInt8Ty(), size->getFixedValue() * width_));
    made->setAlignment(std::max(variable->getAlign(), llvm::Align(64)));
    places_[variable] = made;
    return;
  }
  auto& address = llvm::cast<llvm::GetElementPtrInst>(instruction);
  Value* from = places_.lookup(address.getPointerOperand());
  if (!from) {
    fail();
    return;
  }
  if (address.getType()->isVectorTy()) {
    place_lanes(address, *from);
    return;
  }
  llvm::APInt distance(64, 0);
  Value* offset = nullptr;
  if (address.accumulateConstantOffset(layout_, distance)) {
    offset = builder_.getInt64(distance.getSExtValue() * width_);
  } else if (Value* index = base(address.getOperand(address.getNumOperands() - 1));
             index && address.getNumIndices() == 1 && !is_varying(&address)) {
    const llvm::TypeSize size = layout_.getTypeAllocSize(address.getSourceElementType());
    offset = builder_.CreateMul(builder_.CreateSExtOrTrunc(index, builder_.getInt64Ty()),
                                builder_.getInt64(size.getFixedValue() * width_));
  } else {
    fail();
    return;
  }
  places_[&address] = builder_.CreatePtrAdd(from, offset);
}

std::size_t Widener::part_of(Value* pointer, const Instruction& root) {
  std::int64_t offset = 0;
  while (pointer != &root) {
    auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(pointer);
    llvm::APInt distance(64, 0);
    if (!address) {
      fail();
      return 0;
    }
    if (address->accumulateConstantOffset(layout_, distance))
      offset += distance.getSExtValue();
    pointer = address->getPointerOperand();
  }
  if (!memories_.contains(&root))
    return 0;
  if (offset < 0)
    fail();
  std::size_t part = 0;
  for (const auto& [variable, begin] : variables_)
    part += static_cast<std::int64_t>(begin) <= offset;
  return part;
}

void Widener::find_sizes() {
  for (Instruction& instruction : llvm::instructions(function_)) {
    const bool is_store = instruction.getType()->isVoidTy();
    if (!llvm::isa<llvm::LoadInst, llvm::StoreInst>(instruction) && !is_masked_access(instruction))
      continue;
    Value* pointer = instruction.getOperand(is_store ? 1 : 0);
    Instruction* root = variable_of(pointer);
    if (!root || !aside_.contains(root))
      continue;
    llvm::Type* type = is_store ? instruction.getOperand(0)->getType() : instruction.getType();
    const std::uint64_t size =
        has_bits(type) ? kBits : layout_.getTypeAllocSize(type->getScalarType()).getFixedValue();
    std::uint64_t& known = sizes_[{root, part_of(pointer, *root)}];
    if (known != 0 && known != size && (known == kBits || size == kBits))
      fail();
    known = std::max(known, size);
  }
}

std::uint64_t Widener::size_at(Value* pointer) {
  Instruction* root = variable_of(pointer);
  return sizes_[{root, part_of(pointer, *root)}];
}

void Widener::require_size(Value* pointer, std::uint64_t size) {
  if (size_at(pointer) != size)
    fail();
}

std::optional<std::uint64_t> Widener::place_within(Value* pointer, std::uint64_t size) const {
  const Instruction* root = variable_of(pointer);
  llvm::APInt distance(64, 0);
  while (pointer != root) {
    auto* address = llvm::cast<llvm::GetElementPtrInst>(pointer);
    if (!address->accumulateConstantOffset(layout_, distance) &&
        (address->getNumIndices() != 1 ||
         layout_.getTypeAllocSize(address->getSourceElementType()).getFixedValue() % size != 0))
      return std::nullopt;
    pointer = address->getPointerOperand();
  }
  return distance.getZExtValue() % size;
}

void Widener::place_lanes(llvm::GetElementPtrInst& address, Value& from) {
  const auto size = static_cast<std::int64_t>(
      layout_.getTypeAllocSize(address.getSourceElementType()).getFixedValue());
  if (address.getNumIndices() != 1) {
    fail();
    return;
  }
  require_size(&address, static_cast<std::uint64_t>(size));
  Value* index = address.getOperand(1);
  llvm::Type* type = builder_.getInt64Ty();
  const bool is_splat = splatted(index) != nullptr;
  for (unsigned i = 0; i < count_of(address.getType()); ++i) {
    if (i > 0 && is_splat) {
      set(address, i, wide_[&address][0]);
      continue;
    }
    Value* offset =
        builder_.CreateMul(builder_.CreateSExtOrTrunc(wide(index, i), wide_type(type)),
                           llvm::ConstantInt::getSigned(wide_type(type), size * width_));
    set(address, i, builder_.CreatePtrAdd(&from, builder_.CreateAdd(offset, offsets(type, size))));
  }
}

Widener::Place Widener::place_of(Value* pointer, llvm::Type* type, unsigned index, unsigned lane) {
  const std::uint64_t size = layout_.getTypeAllocSize(type->getScalarType()).getFixedValue();
  Place place;
  if (Value* aside = places_.lookup(pointer)) {
    const std::uint64_t whole = size_at(pointer);
    const std::optional<std::uint64_t> start =
        whole == size ? std::uint64_t{0} : place_within(pointer, whole);
    if (!start) {
      fail();
      return place;
    }
    // Of a part of an element all threadgroups' lie as far apart as the elements.
    const std::uint64_t within = (*start + index * size) % whole;
    const std::uint64_t distance = (index * size - within) * width_ + within;
    place.first = builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), aside, distance);
    if (whole != size) {
      place.all = builder_.CreatePtrAdd(
          place.first, offsets(builder_.getInt64Ty(), static_cast<std::int64_t>(whole)));
      place.first = nullptr;
    }
    return place;
  }
  if (Value* own = base(pointer)) {
    const std::int64_t by = is_varying(pointer) ? step(pointer).value_or(0) : 0;
    Value* first = element(own, lane);
    if (index != 0)
      first = builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), first, index * size);
    place.is_common = by == 0;
    if (by == 0 || by == static_cast<std::int64_t>(size))
      place.first = first;
    else
      place.all = builder_.CreatePtrAdd(first, offsets(builder_.getInt64Ty(), by));
    return place;
  }
  place.all = wide(pointer, lane);
  if (index != 0)
    place.all = builder_.CreatePtrAdd(
        place.all, builder_.CreateVectorSplat(width_, builder_.getInt64(index * size)));
  return place;
}

Value* Widener::place_of_bits(Instruction& access, Value* pointer, unsigned lane) {
  Value* aside = places_.lookup(pointer);
  llvm::Type* type = llvm::getLoadStoreType(&access);
  if (!aside || !type->getScalarType()->isIntegerTy(1)) {
    fail();
    return llvm::PoisonValue::get(builder_.getPtrTy());
  }
  require_size(pointer, kBits);
  return builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), aside, lane * width_ / 8);
}

Value* Widener::load(const Place& place, llvm::Type* type, llvm::Align align, Value* mask,
                     Value* otherwise, const Instruction& original) {
  llvm::Type* wide = wide_type(type);
  Instruction* made = nullptr;
  if (place.is_common) {
    made = builder_.CreateMaskedGather(wide, builder_.CreateVectorSplat(width_, place.first), align,
                                       mask, otherwise);
  } else if (!place.first) {
    made = builder_.CreateMaskedGather(wide, place.all, align, mask, otherwise);
  } else if (is_all_true(mask)) {
    made = builder_.CreateAlignedLoad(wide, place.first, align);
  } else {
    made = builder_.CreateMaskedLoad(wide, place.first, align, mask, otherwise);
  }
  made->copyMetadata(original, {llvm::LLVMContext::MD_invariant_load});
  return made;
}

Value* Widener::load_if(Value* condition, Place place, llvm::Type* type, llvm::Align align,
                        llvm::IntrinsicInst& call, unsigned lane) {
  place.first = builder_.CreateSelect(condition, place.first, made_->getArg(0));
  Value* loaded = load(place, type, std::min(align, llvm::Align(alignof(LaunchContext))),
                       all_true(), nullptr, call);
  Value* otherwise = wide(call.getArgOperand(3), lane);
  return llvm::isa<llvm::PoisonValue>(otherwise)
             ? loaded
             : builder_.CreateSelect(condition, loaded, otherwise);
}

void Widener::store(const Place& place, Value* value, llvm::Align align, Value* mask) {
  if (place.is_common) {
    // The last one's stays.
    if (is_all_true(mask))
      builder_.CreateAlignedStore(builder_.CreateExtractElement(value, width_ - 1), place.first,
                                  align);
    else
      fail();
  } else if (!place.first) {
    builder_.CreateMaskedScatter(value, place.all, align, mask);
  } else if (is_all_true(mask)) {
    builder_.CreateAlignedStore(value, place.first, align);
  } else {
    builder_.CreateMaskedStore(value, place.first, align, mask);
  }
}

void Widener::refuse_lanes(const Place& place, unsigned count, Value* pointer) {
  if (count == 1 || place.first)
    return;
  const auto* load = llvm::dyn_cast<llvm::LoadInst>(llvm::getUnderlyingObject(pointer, 0));
  const bool is_own =
      load && load->getPointerOperand() != function_.getArg(0) &&
      llvm::getUnderlyingObject(load->getPointerOperand(), 0) != function_.getArg(0);
  if (!is_own || ++apart_ > kMostApart)
    fail();
}

bool Widener::is_const_false(Value* mask) {
  const auto* constant = llvm::dyn_cast<llvm::Constant>(mask);
  return constant && (constant->isNullValue() || llvm::isa<llvm::UndefValue>(constant));
}

bool Widener::widen_memory(Instruction& instruction) {
  auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
  if (auto* plain = llvm::dyn_cast<llvm::LoadInst>(&instruction)) {
    if (!plain->isSimple()) {
      fail();
      return true;
    }
    const unsigned count = count_of(plain->getType());
    if (has_bits(plain->getType())) {
      for (unsigned i = 0; i < count; ++i) {
        Value* bits = builder_.CreateLoad(builder_.getIntNTy(width_),
                                          place_of_bits(*plain, plain->getPointerOperand(), i));
        set(instruction, i, builder_.CreateBitCast(bits, wide_type(plain->getType())));
      }
      return true;
    }
    for (unsigned i = 0; i < count; ++i) {
      const Place place = place_of(plain->getPointerOperand(), plain->getType(), i, 0);
      refuse_lanes(place, count, plain->getPointerOperand());
      llvm::Type* type = wide_type(plain->getType());
      set(instruction, i,
          load(place, plain->getType(), align_of(plain->getAlign(), plain->getType(), count),
               all_true(), llvm::PoisonValue::get(type), instruction));
    }
    return true;
  }
  if (auto* plain = llvm::dyn_cast<llvm::StoreInst>(&instruction)) {
    llvm::Type* type = plain->getValueOperand()->getType();
    if (!plain->isSimple()) {
      fail();
      return true;
    }
    const unsigned count = count_of(type);
    if (has_bits(type)) {
      for (unsigned i = 0; i < count; ++i)
        builder_.CreateStore(
            builder_.CreateBitCast(wide(plain->getValueOperand(), i), builder_.getIntNTy(width_)),
            place_of_bits(*plain, plain->getPointerOperand(), i));
      return true;
    }
    for (unsigned i = 0; i < count; ++i) {
      const Place place = place_of(plain->getPointerOperand(), type, i, 0);
      refuse_lanes(place, count, plain->getPointerOperand());
      store(place, wide(plain->getValueOperand(), i), align_of(plain->getAlign(), type, count),
            all_true());
    }
    return true;
  }
  if (!call)
    return false;
  const auto id = call->getIntrinsicID();
  const bool is_load = id == llvm::Intrinsic::masked_load || id == llvm::Intrinsic::masked_gather;
  const bool is_store =
      id == llvm::Intrinsic::masked_store || id == llvm::Intrinsic::masked_scatter;
  if (!is_load && !is_store)
    return false;
  const bool has_pointers =
      id == llvm::Intrinsic::masked_gather || id == llvm::Intrinsic::masked_scatter;
  const unsigned shift = is_store ? 1 : 0;
  Value* pointer = call->getArgOperand(shift);
  const llvm::Align given =
      llvm::cast<llvm::ConstantInt>(call->getArgOperand(1 + shift))->getAlignValue();
  Value* mask = call->getArgOperand(2 + shift);
  llvm::Type* type = is_load ? call->getType() : call->getArgOperand(0)->getType();
  if (has_bits(type)) {
    fail();
    return true;
  }
  const unsigned count = count_of(type);
  const llvm::Align align = align_of(given, type, has_pointers ? 1 : count);
  Place before;
  for (unsigned i = 0; i < count; ++i) {
    // A lane that never takes part.
    Value* own = base(mask);
    if (own && !is_varying(mask) && is_const_false(element(own, i))) {
      if (is_load)
        set(instruction, i, wide(call->getArgOperand(3), i));
      continue;
    }
    Place place = place_of(pointer, type, has_pointers ? 0 : i, has_pointers ? i : 0);
    if (is_load && place.first && !place.is_common && own && !is_varying(mask) &&
        !llvm::isa<llvm::Constant>(own)) {
      set(instruction, i, load_if(element(own, i), place, type, align, *call, i));
      continue;
    }
    Value* of_all = wide(mask, i);
    // One place for all lanes.
    if (is_load && i > 0 && place.all && place.all == before.all && is_all_true(of_all)) {
      set(instruction, i, wide_[&instruction][i - 1]);
      continue;
    }
    before = place;
    if (!has_pointers || !variable_of(pointer))
      refuse_lanes(place, count, pointer);
    if (is_load)
      set(instruction, i,
          load(place, type, align, of_all, wide(call->getArgOperand(3), i), instruction));
    else
      store(place, wide(call->getArgOperand(0), i), align, of_all);
  }
  return true;
}

llvm::Align Widener::align_of(llvm::Align given, llvm::Type* type, unsigned count) const {
  return count == 1
             ? given
             : std::min(
                   given,
                   llvm::commonAlignment(
                       given, layout_.getTypeAllocSize(type->getScalarType()).getFixedValue()));
}

} // namespace metalwright::simt
