// air.convert.<kind>.<type>.<kind>.<type>[.rounding][.sat]: the result first, the kinds f, s and u.
#include "simt/lowering.h"

#include <optional>

namespace metalwright::simt {

using llvm::StringRef;
using llvm::Type;
using llvm::Value;
namespace Intrinsic = llvm::Intrinsic;

namespace {

enum class Rounding { unspecified, nearest, zero, up, down };

struct Conversion {
  char to = 0, from = 0; // 'f', 's', 'u'
  Rounding rounding = Rounding::unspecified;
  bool saturates = false;
};

std::optional<char> kind(StringRef part) {
  if (part == "f" || part == "s" || part == "u") {
    return part[0];
  }
  return std::nullopt;
}

std::optional<Conversion> parse(llvm::ArrayRef<StringRef> parts) {
  if (parts.size() < 4 || !kind(parts[0]) || !kind(parts[2])) {
    return std::nullopt;
  }
  Conversion conversion{*kind(parts[0]), *kind(parts[2])};
  for (StringRef part : parts.drop_front(4)) {
    if (part == "rte") {
      conversion.rounding = Rounding::nearest;
    } else if (part == "rtz") {
      conversion.rounding = Rounding::zero;
    } else if (part == "rtp") {
      conversion.rounding = Rounding::up;
    } else if (part == "rtn") {
      conversion.rounding = Rounding::down;
    } else if (part == "sat") {
      conversion.saturates = true;
    } else {
      return std::nullopt;
    }
  }
  return conversion;
}

bool is_float(Type* type) {
  Type* scalar = type->getScalarType();
  return scalar->isFloatTy() || scalar->isHalfTy() || scalar->isBFloatTy();
}

Value* float_to_integer(Lowering& l, Value* x, const Conversion& conversion) {
  auto& b = l.builder;
  x = l.to_float(x);
  if (l.type()->getScalarSizeInBits() == 1) {
    return b.CreateFCmpUNE(x, l.constant(x->getType(), 0));
  }
  switch (conversion.rounding) {
  case Rounding::nearest:
    x = l.intrinsic(Intrinsic::roundeven, {x});
    break;
  case Rounding::up:
    x = l.intrinsic(Intrinsic::ceil, {x});
    break;
  case Rounding::down:
    x = l.intrinsic(Intrinsic::floor, {x});
    break;
  default:
    break; // the conversion cuts
  }
  // Out of range clamps and NaN gives 0.
  return b.CreateIntrinsic(conversion.to == 's' ? Intrinsic::fptosi_sat : Intrinsic::fptoui_sat,
                           {l.type(), x->getType()}, {x});
}

Value* integer_to_float(Lowering& l, Value* x, const Conversion& conversion) {
  auto& b = l.builder;
  if (conversion.rounding != Rounding::unspecified && conversion.rounding != Rounding::nearest) {
    return nullptr;
  }
  const bool is_signed = conversion.from == 's' && x->getType()->getScalarSizeInBits() > 1;
  Type* type = x->getType();
  Type* float_type = with_scalar(type, b.getFloatTy());
  const unsigned width = type->getScalarSizeInBits();
  auto to_float = [&](Value* value) {
    return is_signed ? b.CreateSIToFP(value, float_type) : b.CreateUIToFP(value, float_type);
  };
  if (l.type()->getScalarType()->isFloatTy()) {
    return to_float(x);
  }
  if (l.type()->getScalarType()->isBFloatTy()) {
    return integer_to_bfloat(b, x, is_signed);
  }
  if (width > 16) {
    // Half ends at 65504: cut where every value is infinite anyway, and float is still exact.
    constexpr std::uint64_t beyond = 1u << 20;
    if (is_signed) {
      x = l.intrinsic(Intrinsic::smax,
                      {x, llvm::ConstantInt::getSigned(type, -std::int64_t{beyond})});
      x = l.intrinsic(Intrinsic::smin, {x, l.integer(type, beyond)});
    } else {
      x = l.intrinsic(Intrinsic::umin, {x, l.integer(type, beyond)});
    }
  }
  return l.from_float(to_float(x), l.type());
}

// Nearest to even, then one step back where that went the wrong way.
Value* float_to_float(Lowering& l, Value* x, const Conversion& conversion) {
  auto& b = l.builder;
  Value* wide = l.to_float(x);
  Value* nearest = l.from_float(wide, l.type());
  if (conversion.rounding == Rounding::unspecified || conversion.rounding == Rounding::nearest ||
      l.type()->getScalarType()->isFloatTy()) {
    return nearest;
  }
  Value* back = l.to_float(nearest);
  Type* bits_type = with_scalar(l.type(), b.getInt16Ty());
  Value* bits = b.CreateBitCast(nearest, bits_type);
  Value* negative = b.CreateICmpSLT(b.CreateBitCast(wide, with_scalar(l.type(), b.getInt32Ty())),
                                    l.integer(with_scalar(l.type(), b.getInt32Ty()), 0));
  Value* above = b.CreateFCmpOGT(back, wide);
  Value* below = b.CreateFCmpOLT(back, wide);
  Value* false_ = llvm::Constant::getNullValue(above->getType());
  // Which way the value must move, and then whether that is towards or away from zero.
  Value* move_down = above;
  Value* move_up = below;
  if (conversion.rounding == Rounding::zero) {
    move_down = b.CreateAnd(above, b.CreateNot(negative));
    move_up = b.CreateAnd(below, negative);
  } else if (conversion.rounding == Rounding::up) {
    move_down = false_;
  } else {
    move_up = false_;
  }
  Value* moves = b.CreateOr(move_down, move_up);
  Value* away = b.CreateICmpEQ(move_down, negative);
  Value* step = b.CreateSelect(away, l.integer(bits_type, 1), l.integer(bits_type, 0xffff));
  return b.CreateBitCast(b.CreateAdd(bits, b.CreateSelect(moves, step, l.integer(bits_type, 0))),
                         l.type());
}

Value* integer_to_integer(Lowering& l, Value* x, const Conversion& conversion) {
  auto& b = l.builder;
  const unsigned from = x->getType()->getScalarSizeInBits();
  const unsigned to = l.type()->getScalarSizeInBits();
  if (to == 1) {
    return b.CreateIsNotNull(x);
  }
  const bool is_signed = conversion.from == 's' && from > 1;
  if (conversion.saturates) {
    // Clamp in a type that holds both ranges.
    const unsigned width = std::max(from, to) + 1;
    Type* wide = with_scalar(l.type(), b.getIntNTy(width));
    x = is_signed ? b.CreateSExt(x, wide) : b.CreateZExt(x, wide);
    const bool to_signed = conversion.to == 's';
    const llvm::APInt low =
        to_signed ? llvm::APInt::getSignedMinValue(to).sext(width) : llvm::APInt(width, 0);
    const llvm::APInt high = to_signed ? llvm::APInt::getSignedMaxValue(to).sext(width)
                                       : llvm::APInt::getMaxValue(to).zext(width);
    x = l.intrinsic(Intrinsic::smax, {x, llvm::ConstantInt::get(wide, low)});
    x = l.intrinsic(Intrinsic::smin, {x, llvm::ConstantInt::get(wide, high)});
    return b.CreateTrunc(x, l.type());
  }
  return is_signed ? b.CreateSExtOrTrunc(x, l.type()) : b.CreateZExtOrTrunc(x, l.type());
}

} // namespace

Value* lower_convert(Lowering& l) {
  const std::optional<Conversion> conversion = parse(l.suffix);
  Value* x = l.argument(0);
  Type* from = x->getType();
  if (!conversion || with_scalar(from, l.type()->getScalarType()) != l.type()) {
    return nullptr;
  }
  const bool to_float = conversion->to == 'f';
  const bool from_float = conversion->from == 'f';
  if (to_float ? !is_float(l.type()) : !l.type()->isIntOrIntVectorTy()) {
    return nullptr;
  }
  if (from_float ? !is_float(from) : !from->isIntOrIntVectorTy()) {
    return nullptr;
  }
  if (from_float) {
    return to_float ? float_to_float(l, x, *conversion) : float_to_integer(l, x, *conversion);
  }
  return to_float ? integer_to_float(l, x, *conversion) : integer_to_integer(l, x, *conversion);
}

} // namespace metalwright::simt
