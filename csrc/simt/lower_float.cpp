// Floating point intrinsics other than geometry: IR where it is short, the maths library elsewhere.
#include "simt/lowering.h"
#include "simt/maths_library.h"

#include <string>

namespace metalwright::simt {

using llvm::Type;
using llvm::Value;
namespace Intrinsic = llvm::Intrinsic;

namespace {

bool is_float(Type* type) {
  Type* scalar = type->getScalarType();
  return scalar->isFloatTy() || scalar->isHalfTy() || scalar->isBFloatTy();
}

unsigned element_count(Type* type) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  return vector == nullptr ? 1 : vector->getNumElements();
}

// The library has a fast form of some functions; the precise one is correct for all.
std::string library_name(const Lowering& l, llvm::StringRef name) {
  if (l.is_fast && maths_library_has(("mw_fast_" + name).str())) {
    return ("fast_" + name).str();
  }
  return name.str();
}

void store(Lowering& l, Value* value, Value* pointer) {
  // The pointee's own alignment: a vector of three is aligned as four.
  l.builder.CreateStore(value, pointer);
}

// a * b + c of halves in float, ready to be rounded to half: rounding to nearest twice can end one
// place off. The product is exact in float; of the sum, what float loses is kept in its last bit
// ("round to odd").
Value* fma_of_halves(Lowering& l, Value* a, Value* b, Value* c) {
  auto& builder = l.builder;
  llvm::IRBuilderBase::FastMathFlagGuard guard(builder);
  builder.clearFastMathFlags();
  Value* product = builder.CreateFMul(a, b);
  Value* sum = builder.CreateFAdd(product, c);
  Value* part = builder.CreateFSub(sum, product);
  Value* lost = builder.CreateFAdd(builder.CreateFSub(product, builder.CreateFSub(sum, part)),
                                   builder.CreateFSub(c, part));
  Value* zero = l.constant(sum->getType(), 0);
  Type* bits_type = with_scalar(sum->getType(), builder.getInt32Ty());
  Value* bits = builder.CreateBitCast(sum, bits_type);
  Value* even = builder.CreateICmpEQ(builder.CreateAnd(bits, l.integer(bits_type, 1)),
                                     l.integer(bits_type, 0));
  Value* away =
      builder.CreateICmpEQ(builder.CreateFCmpOGT(lost, zero), builder.CreateFCmpOGT(sum, zero));
  Value* step =
      builder.CreateSelect(away, l.integer(bits_type, 1), l.integer(bits_type, 0xffffffff));
  Value* inexact = builder.CreateAnd(even, builder.CreateFCmpONE(lost, zero)); // not for NaN
  bits = builder.CreateSelect(inexact, builder.CreateAdd(bits, step), bits);
  return builder.CreateBitCast(bits, sum->getType());
}

} // namespace

Value* lower_float_intrinsic(Lowering& l) {
  auto arguments = l.float_arguments();
  arguments.resize(l.row.arguments);
  if (l.row.id == Intrinsic::fma && l.type()->getScalarType()->isHalfTy())
    return l.from_float(fma_of_halves(l, arguments[0], arguments[1], arguments[2]), l.type());
  return l.from_float(l.intrinsic(l.row.id, arguments), l.type());
}

Value* lower_float_library(Lowering& l) {
  auto arguments = l.float_arguments();
  arguments.resize(l.row.arguments);
  return l.from_float(l.library(library_name(l, l.row.library), arguments), l.type());
}

Value* lower_clamp(Lowering& l) {
  for (unsigned i = 0; i < 3; ++i) {
    if (l.argument(i)->getType() != l.type()) {
      return nullptr;
    }
  }
  if (l.type()->isIntOrIntVectorTy()) {
    const bool is_signed = l.is_signed();
    Value* low =
        l.intrinsic(is_signed ? Intrinsic::smax : Intrinsic::umax, {l.argument(0), l.argument(1)});
    return l.intrinsic(is_signed ? Intrinsic::smin : Intrinsic::umin, {low, l.argument(2)});
  }
  if (!is_float(l.type())) {
    return nullptr;
  }
  auto a = l.float_arguments();
  return l.from_float(l.minimum(l.maximum(a[0], a[1]), a[2]), l.type());
}

Value* lower_saturate(Lowering& l) {
  Value* x = l.to_float(l.argument(0));
  Value* y = l.minimum(l.maximum(x, l.constant(x->getType(), 0)), l.constant(x->getType(), 1));
  return l.from_float(y, l.type());
}

// 1, -1, a zero as it is, and 0 for NaN.
Value* lower_sign(Lowering& l) {
  Value* x = l.to_float(l.argument(0));
  Value* zero = l.constant(x->getType(), 0);
  Value* one = l.intrinsic(Intrinsic::copysign, {l.constant(x->getType(), 1), x});
  Value* y = l.builder.CreateSelect(l.builder.CreateFCmpOEQ(x, zero), x, one);
  y = l.builder.CreateSelect(l.builder.CreateFCmpUNO(x, x), zero, y);
  return l.from_float(y, l.type());
}

Value* lower_step(Lowering& l) {
  auto a = l.float_arguments();
  Type* type = a[0]->getType();
  Value* below = l.builder.CreateFCmpOLT(a[1], a[0]);
  return l.from_float(l.builder.CreateSelect(below, l.constant(type, 0), l.constant(type, 1)),
                      l.type());
}

Value* lower_smoothstep(Lowering& l) {
  auto a = l.float_arguments();
  Type* type = a[0]->getType();
  auto& b = l.builder;
  Value* t = b.CreateFDiv(b.CreateFSub(a[2], a[0]), b.CreateFSub(a[1], a[0]));
  t = l.minimum(l.maximum(t, l.constant(type, 0)), l.constant(type, 1));
  Value* y = b.CreateFMul(b.CreateFMul(t, t), l.fma(t, l.constant(type, -2), l.constant(type, 3)));
  return l.from_float(y, l.type());
}

// x + (y - x) * a, as the specification writes it.
Value* lower_mix(Lowering& l) {
  auto a = l.float_arguments();
  return l.from_float(l.fma(l.builder.CreateFSub(a[1], a[0]), a[2], a[0]), l.type());
}

// The largest value below 1 bounds the result: x - floor(x) rounds up to 1 for tiny negative x.
Value* lower_fract(Lowering& l) {
  Value* x = l.to_float(l.argument(0));
  Value* y = l.builder.CreateFSub(x, l.intrinsic(Intrinsic::floor, {x}));
  Type* scalar = l.type()->getScalarType();
  const double below_one = scalar->isHalfTy()     ? 0x1.ffcp-1
                           : scalar->isBFloatTy() ? 0x1.fep-1
                                                  : 0x1.fffffep-1;
  Value* limit = l.constant(x->getType(), below_one);
  return l.from_float(l.builder.CreateSelect(l.builder.CreateFCmpOGT(y, limit), limit, y),
                      l.type());
}

Value* lower_fdim(Lowering& l) {
  auto a = l.float_arguments();
  Value* above = l.builder.CreateFCmpUGT(a[0], a[1]); // NaN: the difference, NaN
  Value* y = l.builder.CreateSelect(above, l.builder.CreateFSub(a[0], a[1]),
                                    l.constant(a[0]->getType(), 0));
  return l.from_float(y, l.type());
}

Value* lower_divide(Lowering& l) {
  auto a = l.float_arguments();
  return l.from_float(l.builder.CreateFDiv(a[0], a[1]), l.type());
}

Value* lower_recip(Lowering& l) {
  Value* x = l.to_float(l.argument(0));
  return l.from_float(l.builder.CreateFDiv(l.constant(x->getType(), 1), x), l.type());
}

Value* lower_fmin3(Lowering& l) {
  auto a = l.float_arguments();
  return l.from_float(l.minimum(l.minimum(a[0], a[1]), a[2]), l.type());
}

Value* lower_fmax3(Lowering& l) {
  auto a = l.float_arguments();
  return l.from_float(l.maximum(l.maximum(a[0], a[1]), a[2]), l.type());
}

Value* lower_fmedian3(Lowering& l) {
  auto a = l.float_arguments();
  Value* low = l.minimum(a[0], a[1]);
  Value* high = l.maximum(a[0], a[1]);
  return l.from_float(l.maximum(low, l.minimum(high, a[2])), l.type());
}

// The neighbour in the type's own grid: through float it would be another value.
Value* lower_nextafter(Lowering& l) {
  if (!is_small_float(l.type())) {
    return l.library("nextafter", {l.argument(0), l.argument(1)});
  }
  auto& b = l.builder;
  Type* bits_type = with_scalar(l.type(), b.getInt16Ty());
  Value* x = l.to_float(l.argument(0));
  Value* y = l.to_float(l.argument(1));
  Value* zero = l.constant(x->getType(), 0);
  Value* bits = b.CreateBitCast(l.argument(0), bits_type);
  Value* away = b.CreateICmpEQ(b.CreateFCmpOLT(x, y), b.CreateFCmpOGT(x, zero));
  Value* next = b.CreateAdd(
      bits, b.CreateSelect(away, l.integer(bits_type, 1), l.integer(bits_type, 0xffff)));
  Value* sign =
      b.CreateAnd(b.CreateBitCast(l.argument(1), bits_type), l.integer(bits_type, 0x8000));
  next = b.CreateSelect(b.CreateFCmpOEQ(x, zero), b.CreateOr(sign, l.integer(bits_type, 1)), next);
  Value* result = b.CreateBitCast(next, l.type());
  result = b.CreateSelect(b.CreateFCmpOEQ(x, y), l.argument(1), result);
  Value* nan = l.constant(l.type(), std::numeric_limits<double>::quiet_NaN());
  return b.CreateSelect(b.CreateFCmpUNO(x, y), nan, result);
}

// Returns the sine and stores the cosine.
Value* lower_sincos(Lowering& l) {
  if (!is_float(l.type()) || l.argument(0)->getType() != l.type() ||
      !l.argument(1)->getType()->isPointerTy()) {
    return nullptr;
  }
  Value* x = l.to_float(l.argument(0));
  store(l, l.from_float(l.library(library_name(l, "cos"), {x}), l.type()), l.argument(1));
  return l.from_float(l.library(library_name(l, "sin"), {x}), l.type());
}

// Returns the fraction and stores the integer part; both have the sign of x.
Value* lower_modf(Lowering& l) {
  if (!is_float(l.type()) || l.argument(0)->getType() != l.type() ||
      !l.argument(1)->getType()->isPointerTy()) {
    return nullptr;
  }
  Value* x = l.to_float(l.argument(0));
  Value* whole = l.intrinsic(Intrinsic::trunc, {x});
  Value* part = l.builder.CreateFSub(x, whole);
  Value* infinite = l.builder.CreateFCmpOEQ(l.intrinsic(Intrinsic::fabs, {x}),
                                            llvm::ConstantFP::getInfinity(x->getType()));
  part = l.builder.CreateSelect(infinite, l.constant(x->getType(), 0), part);
  store(l, l.from_float(whole, l.type()), l.argument(1));
  return l.from_float(l.intrinsic(Intrinsic::copysign, {part, x}), l.type());
}

// Returns the mantissa and stores the exponent, an int or a vector of them.
Value* lower_frexp(Lowering& l) {
  if (!is_float(l.type()) || l.argument(0)->getType() != l.type() ||
      !l.argument(1)->getType()->isPointerTy()) {
    return nullptr;
  }
  Value* x = l.to_float(l.argument(0));
  store(l, l.library("frexp_exponent", {x}, l.builder.getInt32Ty()), l.argument(1));
  return l.from_float(l.library("frexp_mantissa", {x}), l.type());
}

Value* lower_ldexp(Lowering& l) {
  Value* n = l.argument(1);
  if (!is_float(l.type()) || l.argument(0)->getType() != l.type() ||
      !n->getType()->isIntOrIntVectorTy() ||
      element_count(n->getType()) != element_count(l.type())) {
    return nullptr;
  }
  n = l.builder.CreateSExtOrTrunc(n, with_scalar(l.type(), l.builder.getInt32Ty()));
  return l.from_float(l.library("ldexp", {l.to_float(l.argument(0)), n}), l.type());
}

Value* lower_ilogb(Lowering& l) {
  if (!is_float(l.argument(0)->getType()) ||
      l.type() != with_scalar(l.argument(0)->getType(), l.builder.getInt32Ty())) {
    return nullptr;
  }
  return l.library("ilogb", {l.to_float(l.argument(0))}, l.builder.getInt32Ty());
}

Value* lower_classify(Lowering& l) {
  Type* source = l.argument(0)->getType();
  if (!is_float(source) || !l.type()->isIntOrIntVectorTy() ||
      element_count(source) != element_count(l.type()) ||
      (l.row.arguments == 2 && l.argument(1)->getType() != source)) {
    return nullptr;
  }
  auto& b = l.builder;
  llvm::StringRef family = l.row.family;
  Value* x = l.argument(0);
  Value* result = nullptr;
  // The tests look at bits, so that fast-math flags cannot fold them away.
  Type* bits_type = with_scalar(source, b.getIntNTy(source->getScalarSizeInBits()));
  const llvm::fltSemantics& semantics = source->getScalarType()->getFltSemantics();
  auto pattern = [&](const llvm::APFloat& value) {
    return llvm::ConstantInt::get(bits_type, value.bitcastToAPInt());
  };
  auto magnitude = [&](Value* value) {
    Value* mask = llvm::ConstantInt::get(
        bits_type, llvm::APInt::getSignedMaxValue(source->getScalarSizeInBits()));
    return b.CreateAnd(b.CreateBitCast(value, bits_type), mask);
  };
  Value* infinity = pattern(llvm::APFloat::getInf(semantics));
  if (family == "isnan") {
    result = b.CreateICmpUGT(magnitude(x), infinity);
  } else if (family == "isinf") {
    result = b.CreateICmpEQ(magnitude(x), infinity);
  } else if (family == "isfinite") {
    result = b.CreateICmpULT(magnitude(x), infinity);
  } else if (family == "isnormal") {
    Value* smallest = pattern(llvm::APFloat::getSmallestNormalized(semantics));
    Value* above = b.CreateSub(magnitude(x), smallest);
    result = b.CreateICmpULT(above, b.CreateSub(infinity, smallest));
  } else if (family == "signbit") {
    result = b.CreateICmpSLT(b.CreateBitCast(x, bits_type), l.integer(bits_type, 0));
  } else {
    Value* unordered = b.CreateOr(b.CreateICmpUGT(magnitude(x), infinity),
                                  b.CreateICmpUGT(magnitude(l.argument(1)), infinity));
    result = family == "isunordered" ? unordered : b.CreateNot(unordered);
  }
  return b.CreateZExtOrTrunc(result, l.type());
}

} // namespace metalwright::simt
