// Vector geometry: computed in float, rounded once.
#include "simt/lowering.h"

namespace metalwright::simt {

using llvm::FixedVectorType;
using llvm::Type;
using llvm::Value;
namespace Intrinsic = llvm::Intrinsic;

namespace {

// Arguments are vectors (or scalars) of one float type and the result is its scalar.
bool reduces(const Lowering& l) {
  Type* source = l.argument(0)->getType();
  Type* scalar = source->getScalarType();
  if (!(scalar->isFloatTy() || scalar->isHalfTy() || scalar->isBFloatTy()) || l.type() != scalar) {
    return false;
  }
  return l.row.arguments < 2 || l.argument(1)->getType() == source;
}

Value* root(Lowering& l, Value* x) {
  return l.intrinsic(Intrinsic::sqrt, {x});
}

} // namespace

Value* lower_dot(Lowering& l) {
  if (!reduces(l)) {
    return nullptr;
  }
  return l.from_float(l.dot(l.to_float(l.argument(0)), l.to_float(l.argument(1))), l.type());
}

Value* lower_cross(Lowering& l) {
  auto* vector = llvm::dyn_cast<FixedVectorType>(l.type());
  if (vector == nullptr || vector->getNumElements() != 3) {
    return nullptr;
  }
  auto a = l.float_arguments();
  auto& b = l.builder;
  const int yzx[] = {1, 2, 0};
  const int zxy[] = {2, 0, 1};
  Value* minus = b.CreateFMul(b.CreateShuffleVector(a[0], zxy), b.CreateShuffleVector(a[1], yzx));
  Value* y = l.fma(b.CreateShuffleVector(a[0], yzx), b.CreateShuffleVector(a[1], zxy),
                   b.CreateFNeg(minus));
  return l.from_float(y, l.type());
}

Value* lower_length(Lowering& l) {
  if (!reduces(l)) {
    return nullptr;
  }
  Value* x = l.to_float(l.argument(0));
  return l.from_float(root(l, l.dot(x, x)), l.type());
}

Value* lower_length_squared(Lowering& l) {
  if (!reduces(l)) {
    return nullptr;
  }
  Value* x = l.to_float(l.argument(0));
  return l.from_float(l.dot(x, x), l.type());
}

Value* lower_distance(Lowering& l) {
  if (!reduces(l)) {
    return nullptr;
  }
  Value* x = l.builder.CreateFSub(l.to_float(l.argument(0)), l.to_float(l.argument(1)));
  return l.from_float(root(l, l.dot(x, x)), l.type());
}

Value* lower_distance_squared(Lowering& l) {
  if (!reduces(l)) {
    return nullptr;
  }
  Value* x = l.builder.CreateFSub(l.to_float(l.argument(0)), l.to_float(l.argument(1)));
  return l.from_float(l.dot(x, x), l.type());
}

Value* lower_normalize(Lowering& l) {
  Value* x = l.to_float(l.argument(0));
  Value* scale = l.library("rsqrt", {l.dot(x, x)});
  return l.from_float(l.builder.CreateFMul(x, l.splat(scale, x->getType())), l.type());
}

// i - 2 * dot(n, i) * n
Value* lower_reflect(Lowering& l) {
  auto a = l.float_arguments();
  Value* twice =
      l.builder.CreateFMul(l.dot(a[1], a[0]), llvm::ConstantFP::get(l.builder.getFloatTy(), -2));
  return l.from_float(l.fma(l.splat(twice, a[0]->getType()), a[1], a[0]), l.type());
}

// For k = 1 - eta^2 * (1 - dot(n, i)^2): zero if k < 0, else eta * i - (eta * dot(n, i) + sqrt(k))
// * n.
Value* lower_refract(Lowering& l) {
  Type* scalar = l.type()->getScalarType();
  if (!(scalar->isFloatTy() || scalar->isHalfTy() || scalar->isBFloatTy()) ||
      l.argument(0)->getType() != l.type() || l.argument(1)->getType() != l.type() ||
      l.argument(2)->getType() != scalar) {
    return nullptr;
  }
  auto a = l.float_arguments();
  auto& b = l.builder;
  Value* eta = a[2];
  Value* one = l.constant(eta->getType(), 1);
  Value* cosine = l.dot(a[1], a[0]);
  Value* sine2 = l.fma(b.CreateFNeg(cosine), cosine, one);
  Value* k = l.fma(b.CreateFNeg(b.CreateFMul(eta, eta)), sine2, one);
  Value* along = l.fma(eta, cosine, root(l, k));
  Type* wide = a[0]->getType();
  Value* bent =
      l.fma(l.splat(b.CreateFNeg(along), wide), a[1], b.CreateFMul(l.splat(eta, wide), a[0]));
  Value* reflected = b.CreateFCmpOLT(k, l.constant(eta->getType(), 0));
  return l.from_float(b.CreateSelect(reflected, l.constant(wide, 0), bent), l.type());
}

// n turned so that dot(reference, i) < 0.
Value* lower_faceforward(Lowering& l) {
  auto a = l.float_arguments();
  Value* facing =
      l.builder.CreateFCmpOLT(l.dot(a[2], a[1]), llvm::ConstantFP::get(l.builder.getFloatTy(), 0));
  return l.builder.CreateSelect(facing, l.argument(0), l.builder.CreateFNeg(l.argument(0)));
}

} // namespace metalwright::simt
