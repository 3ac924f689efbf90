// Packing of normalised colours into integers: air.pack.<format>.<vector>,
// air.unpack.<format>.<vector>.
#include "simt/lowering.h"

namespace metalwright::simt {

using llvm::FixedVectorType;
using llvm::StringRef;
using llvm::Type;
using llvm::Value;
namespace Intrinsic = llvm::Intrinsic;

namespace {

// Fields from the lowest bit up.
struct Format {
  StringRef name;
  bool is_signed;
  unsigned fields;
  unsigned widths[4];
  unsigned offsets[4];
};

constexpr Format formats[] = {
    {"unorm4x8", false, 4, {8, 8, 8, 8}, {0, 8, 16, 24}},
    {"snorm4x8", true, 4, {8, 8, 8, 8}, {0, 8, 16, 24}},
    {"unorm2x16", false, 2, {16, 16}, {0, 16}},
    {"snorm2x16", true, 2, {16, 16}, {0, 16}},
    {"unorm.rgb10a2", false, 4, {10, 10, 10, 2}, {0, 10, 20, 30}},
    // Red in the upper bits, as the 16-bit pixel format has it.
    {"unorm.rgb565", false, 3, {5, 6, 5}, {11, 5, 0}},
};

const Format* find_format(llvm::ArrayRef<StringRef> suffix) {
  for (const Format& format : formats) {
    const auto [first, second] = format.name.split('.');
    if (!suffix.empty() && suffix[0] == first &&
        (second.empty() ? suffix.size() <= 2 : suffix.size() >= 2 && suffix[1] == second)) {
      return &format;
    }
  }
  return nullptr;
}

bool is_colour(Type* type, unsigned fields) {
  auto* vector = llvm::dyn_cast<FixedVectorType>(type);
  return vector != nullptr && vector->getNumElements() == fields &&
         (vector->getElementType()->isFloatTy() || vector->getElementType()->isHalfTy());
}

} // namespace

// Clamp to the range, scale, round to nearest even.
Value* lower_pack(Lowering& l) {
  const Format* format = find_format(l.suffix);
  if (format == nullptr || !is_colour(l.argument(0)->getType(), format->fields) ||
      !(l.type()->isIntegerTy(32) || (l.type()->isIntegerTy(16) && format->fields == 3))) {
    return nullptr;
  }
  auto& b = l.builder;
  Value* colour = l.to_float(l.argument(0));
  Value* result = l.integer(b.getInt32Ty(), 0);
  for (unsigned i = 0; i < format->fields; ++i) {
    Value* x = b.CreateExtractElement(colour, i);
    const double most = static_cast<double>((1u << (format->widths[i] - format->is_signed)) - 1);
    x = l.maximum(x, l.constant(x->getType(), format->is_signed ? -1 : 0));
    x = l.minimum(x, l.constant(x->getType(), 1));
    x = l.intrinsic(Intrinsic::roundeven, {b.CreateFMul(x, l.constant(x->getType(), most))});
    Value* field = b.CreateFPToSI(x, b.getInt32Ty());
    field =
        b.CreateAnd(field, l.integer(b.getInt32Ty(), (std::uint64_t{1} << format->widths[i]) - 1));
    result = b.CreateOr(result, b.CreateShl(field, format->offsets[i]));
  }
  return b.CreateTrunc(result, l.type());
}

// A signed field's least value and the next both give -1.
Value* lower_unpack(Lowering& l) {
  const Format* format = find_format(l.suffix);
  if (format == nullptr || !is_colour(l.type(), format->fields) ||
      !l.argument(0)->getType()->isIntegerTy()) {
    return nullptr;
  }
  auto& b = l.builder;
  Value* packed = b.CreateZExtOrTrunc(l.argument(0), b.getInt32Ty());
  Value* result = llvm::PoisonValue::get(FixedVectorType::get(b.getFloatTy(), format->fields));
  for (unsigned i = 0; i < format->fields; ++i) {
    const unsigned width = format->widths[i];
    Value* top = b.CreateShl(packed, 32 - format->offsets[i] - width);
    Value* field =
        format->is_signed ? b.CreateAShr(top, 32 - width) : b.CreateLShr(top, 32 - width);
    const double most = static_cast<double>((1u << (width - format->is_signed)) - 1);
    Value* x =
        b.CreateFDiv(b.CreateSIToFP(field, b.getFloatTy()), l.constant(b.getFloatTy(), most));
    if (format->is_signed) {
      x = l.maximum(x, l.constant(x->getType(), -1));
    }
    result = b.CreateInsertElement(result, x, i);
  }
  return l.from_float(result, l.type());
}

} // namespace metalwright::simt
