// Finds the marked products of the maths library in vector code.
#include "simt/scaling.h"

#include "simt/maths_library.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/PatternMatch.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/Transforms/Utils/Local.h>

namespace metalwright::simt {

namespace {

using namespace llvm::PatternMatch;
using llvm::Value;

constexpr unsigned kRegister = 16;       // floats
constexpr std::int64_t kOne = 127 << 23; // the bits of 1.0f

// A float's bits that are 2^exponent.
template <typename Exponent> auto power_of_two(const Exponent& exponent) {
  return m_BitCast(m_CombineOr(m_c_Add(m_Shl(exponent, m_SpecificInt(23)), m_SpecificInt(kOne)),
                               m_Shl(m_c_Add(exponent, m_SpecificInt(127)), m_SpecificInt(23))));
}

struct Scaling {
  Value* factor = nullptr;
  Value* exponent = nullptr; // integers
};

// How the library gets its integers: a float rounded by adding 1.5 * 2^23 has them in its low bits.
constexpr float kMagic = 12582912.0f;
constexpr std::uint32_t kLessMagic = -0x4b400000u; // what takes its bits off

bool match_scaling(llvm::Instruction& product, Scaling& scaling) {
  Value *first = nullptr, *half = nullptr, *rest = nullptr, *rounded = nullptr;
  if (!match(&product, m_c_FMul(m_Value(first), power_of_two(m_Value(rest)))) ||
      !match(first, m_c_FMul(m_Value(scaling.factor), power_of_two(m_Value(half)))) ||
      !match(half, m_AShr(m_Value(scaling.exponent), m_One())))
    return false;
  if (match(rest, m_Sub(m_Specific(scaling.exponent), m_Specific(half))))
    return true;
  // What the number is subtracted from may be left out where its low nine bits, which are 0, are
  // all that a shift by 23 keeps of it.
  return match(scaling.exponent, m_c_Add(m_Value(rounded), m_SpecificInt(kLessMagic))) &&
         match(rest, m_Sub(m_Specific(rounded), m_Specific(half)));
}

// The exponent as a float: after the library's rounding it is one subtraction away, which the
// library makes as well.
Value* as_float(llvm::IRBuilder<>& builder, Value* exponent, llvm::Type* type) {
  Value* rounded = nullptr;
  if (match(exponent, m_c_Add(m_BitCast(m_Value(rounded)), m_SpecificInt(kLessMagic))) &&
      rounded->getType() == type)
    return builder.CreateFAdd(rounded, llvm::ConstantFP::get(type, -kMagic));
  return builder.CreateSIToFP(exponent, type);
}

Value* piece(llvm::IRBuilder<>& builder, Value* vector, unsigned begin, unsigned count) {
  llvm::SmallVector<int, 32> lanes;
  for (unsigned i = 0; i < count; ++i)
    lanes.push_back(static_cast<int>(begin + i));
  return builder.CreateShuffleVector(vector, lanes);
}

Value* scale(llvm::IRBuilder<>& builder, Value* factor, Value* exponent) {
  const unsigned count = llvm::cast<llvm::FixedVectorType>(factor->getType())->getNumElements();
  if (count == kRegister) {
    constexpr int current_rounding = 4;
    return builder.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
                                   {factor, exponent, factor, builder.getInt16(~std::uint16_t{0}),
                                    builder.getInt32(current_rounding)});
  }
  const unsigned half = count / 2;
  Value* low = scale(builder, piece(builder, factor, 0, half), piece(builder, exponent, 0, half));
  Value* high =
      scale(builder, piece(builder, factor, half, half), piece(builder, exponent, half, half));
  llvm::SmallVector<int, 32> all;
  for (unsigned i = 0; i < count; ++i)
    all.push_back(static_cast<int>(i));
  return builder.CreateShuffleVector(low, high, all);
}

} // namespace

void use_scaling_instructions(llvm::Function& function, llvm::TargetMachine& target) {
  if (!target.getTargetTriple().isX86() || !target.getMCSubtargetInfo()->checkFeatures("+avx512f"))
    return;
  for (llvm::Instruction& product : llvm::make_early_inc_range(llvm::instructions(function))) {
    if (!product.hasMetadata(kScalingMark))
      continue;
    const auto* type = llvm::dyn_cast<llvm::FixedVectorType>(product.getType());
    Scaling scaling;
    if (!type || type->getNumElements() % kRegister != 0 ||
        !llvm::isPowerOf2_32(type->getNumElements()) || !match_scaling(product, scaling))
      continue;
    llvm::IRBuilder<> builder(&product);
    product.replaceAllUsesWith(
        scale(builder, scaling.factor, as_float(builder, scaling.exponent, product.getType())));
    product.setMetadata(kScalingMark, nullptr);
  }
  for (llvm::BasicBlock& block : function)
    llvm::SimplifyInstructionsInBlock(&block);
}

} // namespace metalwright::simt
