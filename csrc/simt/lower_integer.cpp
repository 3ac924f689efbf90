// Integer and boolean intrinsics, every width, scalars and vectors.
#include "simt/lowering.h"

namespace metalwright::simt {

using llvm::Type;
using llvm::Value;
namespace Intrinsic = llvm::Intrinsic;

namespace {

// Twice the width: products and sums are exact there.
struct Wide {
  Lowering& l;
  Type* type = with_scalar(l.type(), l.builder.getIntNTy(2 * l.type()->getScalarSizeInBits()));

  Value* widen(Value* value) const {
    return l.is_signed() ? l.builder.CreateSExt(value, type) : l.builder.CreateZExt(value, type);
  }
  Value* product(Value* a, Value* b) const { return l.builder.CreateMul(widen(a), widen(b)); }
};

Value* minimum(Lowering& l, Value* a, Value* b) {
  return l.intrinsic(l.is_signed() ? Intrinsic::smin : Intrinsic::umin, {a, b});
}

Value* maximum(Lowering& l, Value* a, Value* b) {
  return l.intrinsic(l.is_signed() ? Intrinsic::smax : Intrinsic::umax, {a, b});
}

Value* low24(Lowering& l, Value* x) {
  const unsigned unused = l.type()->getScalarSizeInBits() - 24;
  Value* shifted = l.builder.CreateShl(x, unused);
  return l.is_signed() ? l.builder.CreateAShr(shifted, unused)
                       : l.builder.CreateLShr(shifted, unused);
}

// An offset or bit count, of whatever width, as a value of the result's type, cut at that type's
// width.
Value* bit_count(Lowering& l, Value* count) {
  const unsigned width = l.type()->getScalarSizeInBits();
  count = l.intrinsic(
      Intrinsic::umin,
      {count,
       l.integer(
           count->getType(),
           std::min<std::uint64_t>(
               width, (1ull << std::min(count->getType()->getScalarSizeInBits(), 63u)) - 1))});
  count =
      l.builder.CreateZExtOrTrunc(count, with_scalar(count->getType(), l.type()->getScalarType()));
  return l.splat(count, l.type());
}

// Shifts that give 0 (or the sign) instead of poison when the amount reaches the width.
Value* shift_left(Lowering& l, Value* x, Value* amount) {
  Value* width = l.integer(l.type(), l.type()->getScalarSizeInBits());
  Value* fits = l.builder.CreateICmpULT(amount, width);
  Value* safe = l.builder.CreateSelect(fits, amount, l.integer(l.type(), 0));
  return l.builder.CreateSelect(fits, l.builder.CreateShl(x, safe), l.integer(l.type(), 0));
}

bool is_integer_shape(Type* type, Type* like) {
  return type->isIntegerTy() ||
         (type->isIntOrIntVectorTy() && type->isVectorTy() && like->isVectorTy() &&
          llvm::cast<llvm::FixedVectorType>(type)->getNumElements() ==
              llvm::cast<llvm::FixedVectorType>(like)->getNumElements());
}

} // namespace

// The smallest signed value stays as it is.
Value* lower_abs(Lowering& l) {
  if (!l.is_signed()) {
    return l.argument(0);
  }
  return l.builder.CreateBinaryIntrinsic(Intrinsic::abs, l.argument(0), l.builder.getFalse());
}

Value* lower_abs_diff(Lowering& l) {
  Value* a = l.argument(0);
  Value* b = l.argument(1);
  return l.builder.CreateSub(maximum(l, a, b), minimum(l, a, b));
}

Value* lower_min(Lowering& l) {
  return minimum(l, l.argument(0), l.argument(1));
}
Value* lower_max(Lowering& l) {
  return maximum(l, l.argument(0), l.argument(1));
}

Value* lower_min3(Lowering& l) {
  return minimum(l, minimum(l, l.argument(0), l.argument(1)), l.argument(2));
}

Value* lower_max3(Lowering& l) {
  return maximum(l, maximum(l, l.argument(0), l.argument(1)), l.argument(2));
}

Value* lower_median3(Lowering& l) {
  Value* low = minimum(l, l.argument(0), l.argument(1));
  Value* high = maximum(l, l.argument(0), l.argument(1));
  return maximum(l, low, minimum(l, high, l.argument(2)));
}

Value* lower_add_sat(Lowering& l) {
  return l.intrinsic(l.is_signed() ? Intrinsic::sadd_sat : Intrinsic::uadd_sat,
                     {l.argument(0), l.argument(1)});
}

Value* lower_sub_sat(Lowering& l) {
  return l.intrinsic(l.is_signed() ? Intrinsic::ssub_sat : Intrinsic::usub_sat,
                     {l.argument(0), l.argument(1)});
}

// (a + b) >> 1 without the carry being lost: the common bits, and half of the others.
Value* lower_hadd(Lowering& l) {
  Value* a = l.argument(0);
  Value* b = l.argument(1);
  Value* differing = l.builder.CreateXor(a, b);
  Value* half =
      l.is_signed() ? l.builder.CreateAShr(differing, 1) : l.builder.CreateLShr(differing, 1);
  return l.builder.CreateAdd(l.builder.CreateAnd(a, b), half);
}

// (a + b + 1) >> 1.
Value* lower_rhadd(Lowering& l) {
  Value* a = l.argument(0);
  Value* b = l.argument(1);
  Value* differing = l.builder.CreateXor(a, b);
  Value* half =
      l.is_signed() ? l.builder.CreateAShr(differing, 1) : l.builder.CreateLShr(differing, 1);
  return l.builder.CreateSub(l.builder.CreateOr(a, b), half);
}

Value* lower_mul_hi(Lowering& l) {
  Value* product = Wide{l}.product(l.argument(0), l.argument(1));
  Value* high = l.builder.CreateLShr(product, l.type()->getScalarSizeInBits());
  return l.builder.CreateTrunc(high, l.type());
}

Value* lower_mad_hi(Lowering& l) {
  return l.builder.CreateAdd(lower_mul_hi(l), l.argument(2));
}

Value* lower_mad_sat(Lowering& l) {
  const Wide wide{l};
  const unsigned width = l.type()->getScalarSizeInBits();
  Value* sum =
      l.builder.CreateAdd(wide.product(l.argument(0), l.argument(1)), wide.widen(l.argument(2)));
  if (l.is_signed()) {
    const llvm::APInt low = llvm::APInt::getSignedMinValue(width).sext(2 * width);
    const llvm::APInt high = llvm::APInt::getSignedMaxValue(width).sext(2 * width);
    sum = l.intrinsic(Intrinsic::smax, {sum, llvm::ConstantInt::get(wide.type, low)});
    sum = l.intrinsic(Intrinsic::smin, {sum, llvm::ConstantInt::get(wide.type, high)});
  } else {
    const llvm::APInt high = llvm::APInt::getMaxValue(width).zext(2 * width);
    sum = l.intrinsic(Intrinsic::umin, {sum, llvm::ConstantInt::get(wide.type, high)});
  }
  return l.builder.CreateTrunc(sum, l.type());
}

// Bits above the 24th do not count.
Value* lower_mul24(Lowering& l) {
  if (l.type()->getScalarSizeInBits() != 32) {
    return nullptr;
  }
  return l.builder.CreateMul(low24(l, l.argument(0)), low24(l, l.argument(1)));
}

Value* lower_mad24(Lowering& l) {
  Value* product = lower_mul24(l);
  return product == nullptr ? nullptr : l.builder.CreateAdd(product, l.argument(2));
}

Value* lower_popcount(Lowering& l) {
  return l.intrinsic(Intrinsic::ctpop, {l.argument(0)});
}

// Zero has as many leading and trailing zeros as bits, whatever the flag in the second argument
// allows.
Value* lower_clz(Lowering& l) {
  return l.builder.CreateBinaryIntrinsic(Intrinsic::ctlz, l.argument(0), l.builder.getFalse());
}

Value* lower_ctz(Lowering& l) {
  return l.builder.CreateBinaryIntrinsic(Intrinsic::cttz, l.argument(0), l.builder.getFalse());
}

Value* lower_reverse_bits(Lowering& l) {
  return l.intrinsic(Intrinsic::bitreverse, {l.argument(0)});
}

// To the left, by the amount modulo the width.
Value* lower_rotate(Lowering& l) {
  return l.intrinsic(Intrinsic::fshl, {l.argument(0), l.argument(0), l.argument(1)});
}

// `bits` bits from `offset` up, zero or sign extended. Bits beyond the width (undefined in MSL)
// read as zero.
Value* lower_extract_bits(Lowering& l) {
  Type* type = l.type();
  if (!type->isIntOrIntVectorTy() || type->getScalarSizeInBits() < 8 ||
      l.argument(0)->getType() != type || !is_integer_shape(l.argument(1)->getType(), type) ||
      !is_integer_shape(l.argument(2)->getType(), type)) {
    return nullptr;
  }
  auto& b = l.builder;
  const unsigned width = type->getScalarSizeInBits();
  Value* offset = bit_count(l, l.argument(1));
  Value* bits = bit_count(l, l.argument(2));
  Value* inside = b.CreateICmpULT(offset, l.integer(type, width));
  Value* shifted = b.CreateLShr(l.argument(0), b.CreateSelect(inside, offset, l.integer(type, 0)));
  shifted = b.CreateSelect(inside, shifted, l.integer(type, 0));
  // Move the field's top bit to the top and back.
  Value* empty = b.CreateICmpEQ(bits, l.integer(type, 0));
  Value* unused =
      b.CreateSelect(empty, l.integer(type, 0), b.CreateSub(l.integer(type, width), bits));
  Value* top = b.CreateShl(shifted, unused);
  Value* field = l.is_signed() ? b.CreateAShr(top, unused) : b.CreateLShr(top, unused);
  return b.CreateSelect(empty, l.integer(type, 0), field);
}

// `bits` low bits of the second argument at `offset` of the first.
Value* lower_insert_bits(Lowering& l) {
  Type* type = l.type();
  if (!type->isIntOrIntVectorTy() || type->getScalarSizeInBits() < 8 ||
      l.argument(0)->getType() != type || l.argument(1)->getType() != type ||
      !is_integer_shape(l.argument(2)->getType(), type) ||
      !is_integer_shape(l.argument(3)->getType(), type)) {
    return nullptr;
  }
  auto& b = l.builder;
  Value* offset = bit_count(l, l.argument(2));
  Value* bits = bit_count(l, l.argument(3));
  Value* ones = llvm::Constant::getAllOnesValue(type);
  Value* mask = shift_left(l, b.CreateNot(shift_left(l, ones, bits)), offset);
  Value* field = b.CreateAnd(shift_left(l, l.argument(1), offset), mask);
  return b.CreateOr(b.CreateAnd(l.argument(0), b.CreateNot(mask)), field);
}

Value* lower_any(Lowering& l) {
  Type* source = l.argument(0)->getType();
  if (!source->isIntOrIntVectorTy() || !l.type()->isIntegerTy()) {
    return nullptr;
  }
  Value* x = l.builder.CreateIsNotNull(l.argument(0));
  return l.builder.CreateZExtOrTrunc(source->isVectorTy() ? l.builder.CreateOrReduce(x) : x,
                                     l.type());
}

Value* lower_all(Lowering& l) {
  Type* source = l.argument(0)->getType();
  if (!source->isIntOrIntVectorTy() || !l.type()->isIntegerTy()) {
    return nullptr;
  }
  Value* x = l.builder.CreateIsNotNull(l.argument(0));
  return l.builder.CreateZExtOrTrunc(source->isVectorTy() ? l.builder.CreateAndReduce(x) : x,
                                     l.type());
}

// select(a, b, condition): b where the condition holds.
Value* lower_select(Lowering& l) {
  Type* condition = l.argument(2)->getType();
  if (l.argument(0)->getType() != l.type() || l.argument(1)->getType() != l.type() ||
      !condition->isIntOrIntVectorTy() || !is_integer_shape(condition, l.type())) {
    return nullptr;
  }
  return l.builder.CreateSelect(l.builder.CreateIsNotNull(l.argument(2)), l.argument(1),
                                l.argument(0));
}

// A promise of the programmer, always under llvm.assume: true.
Value* lower_is_uniform(Lowering& l) {
  return l.type()->isIntegerTy() ? l.integer(l.type(), 1) : nullptr;
}

Value* lower_predicate(Lowering& l) {
  return l.builder.CreateZExt(l.builder.CreateIsNotNull(l.argument(0)), l.type());
}

} // namespace metalwright::simt
