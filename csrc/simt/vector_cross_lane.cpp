// Simdgroup and quadgroup functions as work on vectors. What each gives is defined by the checked
// engine (cpu/collectives.cpp); the order of additions is the same here.
#include "simt/lowering.h"
#include "simt/value_checks.h"
#include "simt/vector_builder.h"

#include <llvm/IR/DebugInfoMetadata.h>
#include <llvm/IR/Module.h>

#include <bit>

namespace metalwright::simt {

using llvm::Type;
using llvm::Value;

namespace {

using Sources = std::array<int, 32>;

Sources each_lane(const std::function<unsigned(unsigned)>& source) {
  Sources result{};
  for (unsigned i = 0; i < 32; ++i)
    result[i] = static_cast<int>(source(i));
  return result;
}

llvm::Constant* lane_numbers(llvm::IRBuilder<>& builder,
                             const std::function<unsigned(unsigned)>& number) {
  llvm::SmallVector<llvm::Constant*, 32> numbers;
  for (unsigned i = 0; i < 32; ++i)
    numbers.push_back(builder.getInt32(number(i)));
  return llvm::ConstantVector::get(numbers);
}

} // namespace

void VectorBuilder::build_cross_lane(llvm::CallInst& call, const ConvergentOp& op) {
  switch (op.kind) {
  case ConvergentOp::Kind::threadgroup_barrier:
    return build_barrier(call);
  case ConvergentOp::Kind::simdgroup_barrier:
    return; // lanes are in step
  case ConvergentOp::Kind::collective:
    break;
  default:
    return build_matrix_op(call, op);
  }
  llvm::StringRef name = op.combine;
  const unsigned width = name.starts_with("quad_") ? 4 : kLanes;
  const auto [operation, type] = name.drop_front(5).split('.');
  if (type.empty())
    return build_vote(call, operation, width);
  if (type.front() == 'b' && type != "bf16")
    return build_movement(call, operation, width);
  if (operation.starts_with("prefix_"))
    return build_scan(call, operation, type, width);
  build_reduction(call, operation, type, width);
}

void VectorBuilder::build_barrier(llvm::CallInst& call) {
  has_barrier_ = true;
  Site site;
  site.what = "threadgroup_barrier";
  const SourcePlace place = simt::place_of(call);
  site.file = place.file;
  site.line = place.line;
  site.column = place.column;
  Type* word = builder_.getInt32Ty();
  llvm::FunctionCallee callee = module_.getOrInsertFunction(
      kSimdgroupBarrierFunction,
      llvm::FunctionType::get(builder_.getVoidTy(), {builder_.getPtrTy(), word, word, word},
                              false));
  llvm::CallInst* made = builder_.CreateCall(
      callee, {function_->getArg(2), builder_.getInt32(static_cast<unsigned>(sites_.size())),
               mask_bits(), all_lanes()});
  made->addFnAttr(llvm::Attribute::NoUnwind);
  // A branch on what differs between simdgroups, taken twice, would otherwise be threaded through
  // the barrier between, which then would stand in it.
  made->addFnAttr(llvm::Attribute::NoDuplicate);
  sites_.push_back(std::move(site));
}

// ------------------------------------------------------------------------------ reductions

namespace {

// How a type is combined: half and bfloat in float, rounded once.
class Combiner {
 public:
  Combiner(llvm::IRBuilder<>& builder, llvm::StringRef operation, llvm::StringRef type)
      : builder_(builder), operation_(operation), type_(type) {
    operation_.consume_front("prefix_inclusive_");
    operation_.consume_front("prefix_exclusive_");
  }

  Value* widen(Value* vector) {
    if (type_ == "f16")
      return builder_.CreateFPExt(vector, with(vector, builder_.getFloatTy()));
    if (type_ == "bf16")
      return bfloat_to_float(builder_, vector);
    if (vector->getType()->getScalarType()->isIntegerTy(1))
      return builder_.CreateZExt(vector, with(vector, builder_.getInt8Ty()));
    return vector;
  }

  Value* narrow(Value* vector, Type* element) {
    if (type_ == "f16")
      return builder_.CreateFPTrunc(vector, with(vector, element));
    if (type_ == "bf16")
      return float_to_bfloat(builder_, vector);
    if (element->isIntegerTy(1))
      return builder_.CreateTrunc(vector, with(vector, element));
    return vector;
  }

  llvm::Constant* identity(Type* type) const {
    Type* element = type->getScalarType();
    const bool real = element->isFloatingPointTy();
    const unsigned bits = element->getScalarSizeInBits();
    if (operation_ == "sum" || operation_ == "or" || operation_ == "xor")
      return llvm::Constant::getNullValue(type);
    if (operation_ == "product")
      return real ? llvm::ConstantFP::get(type, 1.0) : llvm::ConstantInt::get(type, 1);
    if (operation_ == "and")
      return llvm::Constant::getAllOnesValue(type);
    const bool smallest = operation_ == "max";
    if (real)
      return llvm::ConstantFP::getInfinity(type, smallest);
    if (is_signed())
      return llvm::ConstantInt::get(type, smallest ? llvm::APInt::getSignedMinValue(bits)
                                                   : llvm::APInt::getSignedMaxValue(bits));
    return llvm::ConstantInt::get(type, smallest ? llvm::APInt::getMinValue(bits)
                                                 : llvm::APInt::getMaxValue(bits));
  }

  Value* combine(Value* a, Value* b) {
    const bool real = a->getType()->isFPOrFPVectorTy();
    if (operation_ == "sum")
      return real ? builder_.CreateFAdd(a, b) : builder_.CreateAdd(a, b);
    if (operation_ == "product")
      return real ? builder_.CreateFMul(a, b) : builder_.CreateMul(a, b);
    if (operation_ == "and")
      return builder_.CreateAnd(a, b);
    if (operation_ == "or")
      return builder_.CreateOr(a, b);
    if (operation_ == "xor")
      return builder_.CreateXor(a, b);
    const bool least = operation_ == "min";
    if (real)
      return least ? builder_.CreateMinNum(a, b) : builder_.CreateMaxNum(a, b);
    const llvm::Intrinsic::ID id = is_signed()
                                       ? (least ? llvm::Intrinsic::smin : llvm::Intrinsic::smax)
                                       : (least ? llvm::Intrinsic::umin : llvm::Intrinsic::umax);
    return builder_.CreateBinaryIntrinsic(id, a, b);
  }

 private:
  bool is_signed() const { return type_.starts_with("s"); }
  static Type* with(Value* vector, Type* element) {
    auto* type = llvm::dyn_cast<llvm::FixedVectorType>(vector->getType());
    return type ? static_cast<Type*>(llvm::FixedVectorType::get(element, type->getNumElements()))
                : element;
  }

  llvm::IRBuilder<>& builder_;
  llvm::StringRef operation_;
  llvm::StringRef type_;
};

} // namespace

void VectorBuilder::build_reduction(llvm::CallInst& call, llvm::StringRef operation,
                                    llvm::StringRef type, unsigned width) {
  Combiner combiner(builder_, operation, type);
  Type* element = call.getType()->getScalarType();
  Parts results;
  for (Value* vector : parts(call.getArgOperand(0))) {
    Value* value = combiner.widen(vector);
    if (!is_full_mask())
      value = builder_.CreateSelect(mask_, value, combiner.identity(value->getType()));
    if (width == kLanes) {
      for (unsigned step = kLanes / 2; step > 0; step /= 2) {
        llvm::SmallVector<int, 32> low;
        llvm::SmallVector<int, 32> high;
        for (unsigned i = 0; i < step; ++i) {
          low.push_back(static_cast<int>(i));
          high.push_back(static_cast<int>(i + step));
        }
        value = combiner.combine(builder_.CreateShuffleVector(value, low),
                                 builder_.CreateShuffleVector(value, high));
      }
      results.push_back(
          combiner.narrow(builder_.CreateExtractElement(value, std::uint64_t{0}), element));
      continue;
    }
    for (unsigned step = width / 2; step > 0; step /= 2)
      value =
          combiner.combine(value, builder_.CreateShuffleVector(value, each_lane([&](unsigned i) {
                                                                 return (i + step) % kLanes;
                                                               })));
    value = builder_.CreateShuffleVector(value,
                                         each_lane([&](unsigned i) { return i / width * width; }));
    results.push_back(combiner.narrow(value, element));
  }
  if (width != kLanes)
    return set_parts(&call, std::move(results));
  Value* result = results.front();
  if (call.getType()->isVectorTy()) {
    result = llvm::PoisonValue::get(call.getType());
    for (unsigned i = 0; i < results.size(); ++i)
      result = builder_.CreateInsertElement(result, results[i], i);
  }
  set_scalar(&call, result);
}

void VectorBuilder::build_scan(llvm::CallInst& call, llvm::StringRef operation,
                               llvm::StringRef type, unsigned width) {
  Combiner combiner(builder_, operation, type);
  Parts results;
  for (Value* vector : parts(call.getArgOperand(0))) {
    Value* value = combiner.widen(vector);
    llvm::Constant* identity = combiner.identity(value->getType());
    if (!is_full_mask())
      value = builder_.CreateSelect(mask_, value, identity);
    for (unsigned step = 1; step < width; step *= 2) {
      Value* before = builder_.CreateShuffleVector(
          value, each_lane([&](unsigned i) { return i % width >= step ? i - step : i; }));
      llvm::SmallVector<llvm::Constant*, 32> takes;
      for (unsigned i = 0; i < kLanes; ++i)
        takes.push_back(builder_.getInt1(i % width >= step));
      value = builder_.CreateSelect(llvm::ConstantVector::get(takes),
                                    combiner.combine(before, value), value);
    }
    if (operation.starts_with("prefix_exclusive_"))
      value = builder_.CreateShuffleVector(
          value, identity, each_lane([&](unsigned i) { return i % width == 0 ? kLanes : i - 1; }));
    results.push_back(combiner.narrow(value, call.getType()->getScalarType()));
  }
  set_parts(&call, std::move(results));
}

// ------------------------------------------------------------------------------ votes

void VectorBuilder::build_vote(llvm::CallInst& call, llvm::StringRef operation, unsigned width) {
  Type* word = builder_.getInt32Ty();
  Value* here = mask_bits();
  Value* yes = here;
  if (call.arg_size() == 1)
    yes = builder_.CreateBitCast(both(mask_, builder_.CreateIsNotNull(part(call.getArgOperand(0)))),
                                 word);
  if (width == kLanes) {
    if (operation == "is_first") {
      Value* first = splat(first_lane());
      Value* result =
          builder_.CreateICmpEQ(lane_numbers(builder_, [](unsigned i) { return i; }), first);
      return set_parts(&call, {builder_.CreateZExtOrTrunc(result, wide(call.getType()))});
    }
    Value* result = operation == "any"   ? builder_.CreateIsNotNull(yes)
                    : operation == "all" ? builder_.CreateICmpEQ(yes, here)
                                         : yes;
    return set_scalar(&call, builder_.CreateZExtOrTrunc(result, call.getType()));
  }
  Value* shift = lane_numbers(builder_, [&](unsigned i) { return i / width * width; });
  Value* whole = splat(builder_.getInt32((1u << width) - 1));
  auto of_group = [&](Value* bits) {
    return builder_.CreateAnd(builder_.CreateLShr(splat(bits), shift), whole);
  };
  Value* zero = llvm::ConstantInt::get(wide(word), 0);
  Value* result = nullptr;
  if (operation == "any") {
    result = builder_.CreateICmpNE(of_group(yes), zero);
  } else if (operation == "all") {
    result = builder_.CreateICmpEQ(of_group(yes), of_group(here));
  } else if (operation == "is_first") {
    // No lane of the group before this one runs.
    Value* before = lane_numbers(builder_, [&](unsigned i) { return (1u << i % width) - 1; });
    result = builder_.CreateICmpEQ(builder_.CreateAnd(of_group(here), before), zero);
  } else {
    result = of_group(yes);
  }
  set_parts(&call, {builder_.CreateZExtOrTrunc(result, wide(call.getType()))});
}

// ------------------------------------------------------------------------------ movements

Value* VectorBuilder::permute(Value* vector, Value* sources) {
  if (const auto* constant = llvm::dyn_cast<llvm::Constant>(sources)) {
    llvm::SmallVector<int, 32> order;
    for (unsigned i = 0; i < kLanes; ++i) {
      const auto* number =
          llvm::dyn_cast_or_null<llvm::ConstantInt>(constant->getAggregateElement(i));
      order.push_back(number ? static_cast<int>(number->getZExtValue() % kLanes)
                             : llvm::PoisonMaskElem);
    }
    return builder_.CreateShuffleVector(vector, order);
  }
  Type* element = vector->getType()->getScalarType();
  const unsigned bits = element->isPointerTy() ? 64 : element->getScalarSizeInBits();
  // Through memory, as words.
  Type* stored = wide(builder_.getIntNTy(std::max(bits, 32u)));
  Value* word = element->isPointerTy()
                    ? builder_.CreatePtrToInt(vector, stored)
                    : builder_.CreateZExt(
                          builder_.CreateBitCast(vector, wide(builder_.getIntNTy(bits))), stored);
  Value* memory = spill(word);
  Value* places = builder_.CreateGEP(stored->getScalarType(), memory,
                                     builder_.CreateAnd(sources, splat(builder_.getInt32(31))));
  Value* moved = builder_.CreateMaskedGather(stored, places, llvm::Align(std::max(bits, 32u) / 8));
  if (element->isPointerTy())
    return builder_.CreateIntToPtr(moved, vector->getType());
  return builder_.CreateBitCast(builder_.CreateTrunc(moved, wide(builder_.getIntNTy(bits))),
                                vector->getType());
}

Value* VectorBuilder::active_at(Value* sources) {
  if (is_full_mask())
    return mask_;
  if (llvm::isa<llvm::Constant>(sources))
    return permute(mask_, sources);
  Value* bits = builder_.CreateLShr(splat(mask_bits()),
                                    builder_.CreateAnd(sources, splat(builder_.getInt32(31))));
  return builder_.CreateTrunc(bits, wide(builder_.getInt1Ty()));
}

// From above or below the group: its own value. From a lane that takes no part: zero. Numbers of
// lanes are taken modulo the width.
void VectorBuilder::build_movement(llvm::CallInst& call, llvm::StringRef operation,
                                   unsigned width) {
  const Parts values = parts(call.getArgOperand(0));
  Parts results;
  auto zero = [](Value* like) { return llvm::Constant::getNullValue(like->getType()); };
  auto finish = [&](bool is_uniform) {
    if (!is_uniform)
      return set_parts(&call, std::move(results));
    Value* result = results.front();
    if (call.getType()->isVectorTy()) {
      result = llvm::PoisonValue::get(call.getType());
      for (unsigned i = 0; i < results.size(); ++i)
        result = builder_.CreateInsertElement(result, results[i], i);
    }
    set_scalar(&call, result);
  };
  Value* number = lane_numbers(builder_, [](unsigned i) { return i; });
  Value* group = lane_numbers(builder_, [&](unsigned i) { return i / width * width; });
  Value* place = lane_numbers(builder_, [&](unsigned i) { return i % width; });
  if (operation == "broadcast_first") {
    if (width == kLanes) {
      for (Value* value : values)
        results.push_back(builder_.CreateExtractElement(value, first_lane()));
      return finish(true);
    }
    Value* bits = builder_.CreateAnd(builder_.CreateLShr(splat(mask_bits()), group),
                                     splat(builder_.getInt32((1u << width) - 1)));
    Value* first = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, bits, builder_.getFalse());
    Value* source = builder_.CreateAdd(group, first);
    for (Value* value : values)
      results.push_back(permute(value, source));
    return finish(false);
  }
  if (!is_varying(&call)) {
    // From one lane, for all.
    Value* lane = builder_.CreateAnd(
        builder_.CreateZExtOrTrunc(scalar(lane_that_is_read(call)), builder_.getInt32Ty()),
        builder_.getInt32(width - 1));
    Value* active =
        builder_.CreateTrunc(builder_.CreateLShr(mask_bits(), lane), builder_.getInt1Ty());
    for (Value* value : values) {
      Value* moved = builder_.CreateExtractElement(value, lane);
      results.push_back(is_full_mask() ? moved : builder_.CreateSelect(active, moved, zero(moved)));
    }
    return finish(true);
  }
  const bool fills = operation.contains("_fill_");
  auto lane_operand = [&](unsigned i) {
    Value* operand = part(call.getArgOperand(i));
    return builder_.CreateZExtOrTrunc(operand, wide(builder_.getInt32Ty()));
  };
  Value* delta = lane_operand(fills ? 2 : 1);
  Value* size = splat(builder_.getInt32(width));
  if (fills) {
    const Parts fill = parts(call.getArgOperand(1));
    Value* modulo = call.arg_size() > 3 ? lane_operand(3) : size;
    Value* one = splat(builder_.getInt32(1));
    // Not a power of two up to the width: the width.
    Value* low = builder_.CreateSub(modulo, one);
    Value* good =
        builder_.CreateAnd(builder_.CreateICmpEQ(builder_.CreateAnd(modulo, low), zero(modulo)),
                           builder_.CreateICmpULT(low, size));
    modulo = builder_.CreateSelect(good, modulo, size);
    low = builder_.CreateSub(modulo, one);
    Value* in_segment = builder_.CreateAnd(number, low);
    Value* segment = builder_.CreateSub(number, in_segment);
    Value* moved = operation.ends_with("up") ? builder_.CreateSub(in_segment, delta)
                                             : builder_.CreateAdd(in_segment, delta);
    Value* inside = builder_.CreateAnd(builder_.CreateICmpULT(moved, modulo),
                                       builder_.CreateICmpULT(delta, modulo));
    Value* source = builder_.CreateAdd(segment, builder_.CreateAnd(moved, low));
    Value* active = active_at(source);
    for (unsigned i = 0; i < values.size(); ++i) {
      Value* value =
          builder_.CreateSelect(inside, permute(values[i], source), permute(fill[i], source));
      results.push_back(builder_.CreateSelect(active, value, zero(value)));
    }
    return finish(false);
  }
  Value* source = nullptr; // in the group
  if (operation == "shuffle" || operation == "broadcast")
    source = builder_.CreateAnd(delta, splat(builder_.getInt32(width - 1)));
  else if (operation == "shuffle_up")
    source = builder_.CreateSub(place, delta);
  else if (operation == "shuffle_down")
    source = builder_.CreateSelect(builder_.CreateICmpULT(delta, splat(builder_.getInt32(kLanes))),
                                   builder_.CreateAdd(place, delta),
                                   llvm::Constant::getAllOnesValue(place->getType()));
  else if (operation == "shuffle_xor")
    source = builder_.CreateXor(place, delta);
  else if (operation.ends_with("rotate_up"))
    source =
        builder_.CreateAnd(builder_.CreateSub(place, delta), splat(builder_.getInt32(width - 1)));
  else if (operation.ends_with("rotate_down"))
    source =
        builder_.CreateAnd(builder_.CreateAdd(place, delta), splat(builder_.getInt32(width - 1)));
  else
    refuse(call, "the operation " + operation.str());
  Value* inside = builder_.CreateICmpULT(source, size);
  Value* lane = builder_.CreateSelect(inside, builder_.CreateAdd(group, source), number);
  Value* active = active_at(lane);
  for (Value* value : values) {
    Value* moved = permute(value, lane);
    results.push_back(is_full_mask() ? moved : builder_.CreateSelect(active, moved, zero(moved)));
  }
  finish(false);
}

} // namespace metalwright::simt
