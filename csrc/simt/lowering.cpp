// The helpers of lowering.h.
#include "simt/lowering.h"

#include <llvm/IR/Module.h>

namespace metalwright::simt {

using llvm::FixedVectorType;
using llvm::Type;
using llvm::Value;

Type* with_scalar(Type* like, Type* scalar) {
  if (auto* vector = llvm::dyn_cast<llvm::VectorType>(like)) {
    return llvm::VectorType::get(scalar, vector->getElementCount());
  }
  return scalar;
}

bool is_small_float(Type* type) {
  return type->getScalarType()->isHalfTy() || type->getScalarType()->isBFloatTy();
}

// Integer steps, not fpext and fptrunc: those become calls of a run-time library on most x86
// machines, and the AVX-512 instruction for it flushes subnormal numbers.
Value* bfloat_to_float(llvm::IRBuilderBase& builder, Value* value) {
  Type* type = value->getType();
  Type* wide = with_scalar(type, builder.getInt32Ty());
  Value* bits = builder.CreateBitCast(value, with_scalar(type, builder.getInt16Ty()));
  bits = builder.CreateShl(builder.CreateZExt(bits, wide), 16);
  return builder.CreateBitCast(bits, with_scalar(type, builder.getFloatTy()));
}

Value* float_to_bfloat(llvm::IRBuilderBase& builder, Value* value) {
  // The test for NaN below must not inherit a promise that there is none.
  llvm::IRBuilderBase::FastMathFlagGuard guard(builder);
  builder.clearFastMathFlags();
  Type* type = value->getType();
  Value* bits = builder.CreateBitCast(value, with_scalar(type, builder.getInt32Ty()));
  Value* upper = builder.CreateLShr(bits, 16);
  // Half of the last place less one, and one more if the last place is odd: nearest, ties to even.
  Type* integer = bits->getType();
  Value* odd = builder.CreateAnd(upper, llvm::ConstantInt::get(integer, 1));
  Value* rounded =
      builder.CreateAdd(builder.CreateAdd(bits, llvm::ConstantInt::get(integer, 0x7fff)), odd);
  rounded = builder.CreateLShr(rounded, 16);
  // The sum could carry a NaN into the sign: keep its upper bits and make it quiet.
  Value* quiet = builder.CreateOr(upper, llvm::ConstantInt::get(integer, 0x40));
  Value* is_nan = builder.CreateFCmpUNO(value, value);
  Value* narrow = builder.CreateTrunc(builder.CreateSelect(is_nan, quiet, rounded),
                                      with_scalar(type, builder.getInt16Ty()));
  return builder.CreateBitCast(narrow, with_scalar(type, builder.getBFloatTy()));
}

// Rounding through float would round twice. Float with its last bit set where digits were lost
// ("round to odd") keeps what a second, shorter rounding needs to know.
Value* integer_to_bfloat(llvm::IRBuilderBase& b, Value* x, bool is_signed) {
  Type* type = x->getType();
  Type* float_type = with_scalar(type, b.getFloatTy());
  if (type->getScalarSizeInBits() <= 16) {
    return float_to_bfloat(b, is_signed ? b.CreateSIToFP(x, float_type)
                                        : b.CreateUIToFP(x, float_type));
  }
  Value* zero = llvm::ConstantInt::get(type, 0);
  Value* negative = is_signed ? b.CreateICmpSLT(x, zero)
                              : llvm::ConstantInt::getFalse(with_scalar(type, b.getInt1Ty()));
  Value* magnitude = b.CreateSelect(negative, b.CreateNeg(x), x);
  Type* bits_type = with_scalar(type, b.getInt32Ty());
  Value* nearest = b.CreateUIToFP(magnitude, float_type);
  Value* back = b.CreateIntrinsic(llvm::Intrinsic::fptoui_sat, {type, float_type}, {nearest});
  Value* bits = b.CreateBitCast(nearest, bits_type);
  bits = b.CreateSub(bits, b.CreateZExt(b.CreateICmpUGT(back, magnitude), bits_type));
  bits = b.CreateOr(bits, b.CreateZExt(b.CreateICmpNE(back, magnitude), bits_type));
  Value* sign = b.CreateShl(b.CreateZExt(negative, bits_type), 31);
  return float_to_bfloat(b, b.CreateBitCast(b.CreateOr(bits, sign), float_type));
}

Lowering::Lowering(llvm::CallInst& call, const IntrinsicRow& row,
                   llvm::ArrayRef<llvm::StringRef> suffix, bool is_fast)
    : builder(&call), call(call), row(row), suffix(suffix), is_fast(is_fast) {}

Value* Lowering::to_float(Value* value) {
  Type* type = value->getType();
  if (type->getScalarType()->isBFloatTy()) {
    return bfloat_to_float(builder, value);
  }
  if (type->getScalarType()->isHalfTy()) {
    return builder.CreateFPExt(value, with_scalar(type, builder.getFloatTy()));
  }
  return value;
}

Value* Lowering::from_float(Value* value, Type* type) {
  if (type->getScalarType()->isBFloatTy()) {
    return float_to_bfloat(builder, value);
  }
  return type == value->getType() ? value : builder.CreateFPTrunc(value, type);
}

llvm::SmallVector<Value*, 4> Lowering::float_arguments() {
  llvm::SmallVector<Value*, 4> result;
  for (unsigned i = 0; i < argument_count(); ++i) {
    result.push_back(to_float(argument(i)));
  }
  return result;
}

Value* Lowering::intrinsic(llvm::Intrinsic::ID id, llvm::ArrayRef<Value*> arguments) {
  return builder.CreateIntrinsic(id, {arguments[0]->getType()}, arguments);
}

Value* Lowering::library(llvm::StringRef name, llvm::ArrayRef<Value*> arguments) {
  return library(name, arguments, builder.getFloatTy());
}

Value* Lowering::library(llvm::StringRef name, llvm::ArrayRef<Value*> arguments,
                         Type* scalar_result) {
  llvm::SmallVector<Type*, 4> types;
  for (Value* value : arguments) {
    types.push_back(value->getType()->getScalarType());
  }
  auto* signature = llvm::FunctionType::get(scalar_result, types, false);
  llvm::FunctionCallee function =
      call.getModule()->getOrInsertFunction(("mw_" + name).str(), signature);
  auto* vector = llvm::dyn_cast<FixedVectorType>(arguments[0]->getType());
  if (vector == nullptr) {
    return builder.CreateCall(function, arguments);
  }
  Value* result =
      llvm::PoisonValue::get(FixedVectorType::get(scalar_result, vector->getNumElements()));
  for (unsigned i = 0; i < vector->getNumElements(); ++i) {
    llvm::SmallVector<Value*, 4> elements;
    for (Value* value : arguments) {
      elements.push_back(value->getType()->isVectorTy() ? builder.CreateExtractElement(value, i)
                                                        : value);
    }
    result = builder.CreateInsertElement(result, builder.CreateCall(function, elements), i);
  }
  return result;
}

Value* Lowering::dot(Value* a, Value* b) {
  auto* vector = llvm::dyn_cast<FixedVectorType>(a->getType());
  if (vector == nullptr) {
    return builder.CreateFMul(a, b);
  }
  Value* sum = builder.CreateFMul(builder.CreateExtractElement(a, std::uint64_t{0}),
                                  builder.CreateExtractElement(b, std::uint64_t{0}));
  for (unsigned i = 1; i < vector->getNumElements(); ++i) {
    sum = fma(builder.CreateExtractElement(a, i), builder.CreateExtractElement(b, i), sum);
  }
  return sum;
}

Value* Lowering::splat(Value* value, Type* like) {
  auto* vector = llvm::dyn_cast<FixedVectorType>(like);
  if (vector == nullptr || value->getType()->isVectorTy()) {
    return value;
  }
  return builder.CreateVectorSplat(vector->getNumElements(), value);
}

} // namespace metalwright::simt
