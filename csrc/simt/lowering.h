// What the lowerings of the intrinsic families share: the call at hand, its name in parts, and
// helpers to build IR over scalars and vectors alike.
#pragma once

#include <llvm/ADT/ArrayRef.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Instructions.h>

#include <functional>
#include <string_view>

namespace metalwright::simt {

struct IntrinsicRow;

// One call being lowered. A lowering builds its result before the call and returns it, or returns
// nullptr if it cannot (the call then stays and its name is reported); what it built until then is
// dead code.
class Lowering {
 public:
  Lowering(llvm::CallInst& call, const IntrinsicRow& row, llvm::ArrayRef<llvm::StringRef> suffix,
           bool is_fast);

  llvm::IRBuilder<> builder;
  llvm::CallInst& call;
  const IntrinsicRow& row;
  // The dot-separated parts of the name after the family: types, and "s" or "u".
  llvm::ArrayRef<llvm::StringRef> suffix;
  // Whether the name had the `fast_` prefix.
  bool is_fast;

  llvm::Value* argument(unsigned i) const { return call.getArgOperand(i); }
  unsigned argument_count() const { return call.arg_size(); }
  llvm::Type* type() const { return call.getType(); }
  bool is_signed() const { return !suffix.empty() && suffix[0] == "s"; }

  // Half and bfloat widen to float (exact); float stays.
  llvm::Value* to_float(llvm::Value* value);
  // Rounds once, to nearest even.
  llvm::Value* from_float(llvm::Value* value, llvm::Type* type);
  // Arguments widened to float.
  llvm::SmallVector<llvm::Value*, 4> float_arguments();

  llvm::Value* constant(llvm::Type* type, double value) {
    return llvm::ConstantFP::get(type, value);
  }
  llvm::Value* integer(llvm::Type* type, std::uint64_t value) {
    return llvm::ConstantInt::get(type, value);
  }
  llvm::Value* intrinsic(llvm::Intrinsic::ID id, llvm::ArrayRef<llvm::Value*> arguments);
  // A maths library function on floats, by element where the arguments are vectors. `name` without
  // "mw_".
  llvm::Value* library(llvm::StringRef name, llvm::ArrayRef<llvm::Value*> arguments);
  llvm::Value* library(llvm::StringRef name, llvm::ArrayRef<llvm::Value*> arguments,
                       llvm::Type* scalar_result);
  // Fused multiply-add.
  llvm::Value* fma(llvm::Value* a, llvm::Value* b, llvm::Value* c) {
    return intrinsic(llvm::Intrinsic::fma, {a, b, c});
  }
  llvm::Value* minimum(llvm::Value* a, llvm::Value* b) {
    return intrinsic(llvm::Intrinsic::minnum, {a, b});
  }
  llvm::Value* maximum(llvm::Value* a, llvm::Value* b) {
    return intrinsic(llvm::Intrinsic::maxnum, {a, b});
  }
  llvm::Value* dot(llvm::Value* a, llvm::Value* b);
  // A scalar repeated to match `like`; a vector stays.
  llvm::Value* splat(llvm::Value* value, llvm::Type* like);
};

// Vector or scalar of `scalar`, with as many elements as `like`.
llvm::Type* with_scalar(llvm::Type* like, llvm::Type* scalar);
bool is_small_float(llvm::Type* type);
llvm::Value* bfloat_to_float(llvm::IRBuilderBase& builder, llvm::Value* value);
llvm::Value* float_to_bfloat(llvm::IRBuilderBase& builder, llvm::Value* value);
llvm::Value* integer_to_bfloat(llvm::IRBuilderBase& builder, llvm::Value* value, bool is_signed);

// What a row's operands must be; a call that does not fit is left alone.
enum class Operands {
  floats,   // floating point, all of the result's type
  integers, // integers, all of the result's type
  any,      // the lowering checks
};

using Lower = llvm::Value* (*)(Lowering&);

// One family of intrinsics.
struct IntrinsicRow {
  std::string_view family; // without "air." and "fast_"
  unsigned arguments;      // at least this many
  Operands operands;
  Lower lower;
  // The function of the maths library or the LLVM intrinsic behind the shared lowerings.
  std::string_view library = {};
  llvm::Intrinsic::ID id = llvm::Intrinsic::not_intrinsic;
};

// Every family, sorted by topic; docs/design/intrinsics.md describes them.
llvm::ArrayRef<IntrinsicRow> intrinsic_rows();

// The lowerings, by file.
// lower_float.cpp
llvm::Value* lower_float_intrinsic(Lowering&);
llvm::Value* lower_float_library(Lowering&);
llvm::Value* lower_clamp(Lowering&);
llvm::Value* lower_saturate(Lowering&);
llvm::Value* lower_sign(Lowering&);
llvm::Value* lower_step(Lowering&);
llvm::Value* lower_smoothstep(Lowering&);
llvm::Value* lower_mix(Lowering&);
llvm::Value* lower_fract(Lowering&);
llvm::Value* lower_fdim(Lowering&);
llvm::Value* lower_divide(Lowering&);
llvm::Value* lower_recip(Lowering&);
llvm::Value* lower_fmin3(Lowering&);
llvm::Value* lower_fmax3(Lowering&);
llvm::Value* lower_fmedian3(Lowering&);
llvm::Value* lower_nextafter(Lowering&);
llvm::Value* lower_sincos(Lowering&);
llvm::Value* lower_modf(Lowering&);
llvm::Value* lower_frexp(Lowering&);
llvm::Value* lower_ldexp(Lowering&);
llvm::Value* lower_ilogb(Lowering&);
llvm::Value* lower_classify(Lowering&);
// lower_geometric.cpp
llvm::Value* lower_dot(Lowering&);
llvm::Value* lower_cross(Lowering&);
llvm::Value* lower_length(Lowering&);
llvm::Value* lower_length_squared(Lowering&);
llvm::Value* lower_distance(Lowering&);
llvm::Value* lower_distance_squared(Lowering&);
llvm::Value* lower_normalize(Lowering&);
llvm::Value* lower_reflect(Lowering&);
llvm::Value* lower_refract(Lowering&);
llvm::Value* lower_faceforward(Lowering&);
// lower_integer.cpp
llvm::Value* lower_abs(Lowering&);
llvm::Value* lower_abs_diff(Lowering&);
llvm::Value* lower_min(Lowering&);
llvm::Value* lower_max(Lowering&);
llvm::Value* lower_min3(Lowering&);
llvm::Value* lower_max3(Lowering&);
llvm::Value* lower_median3(Lowering&);
llvm::Value* lower_add_sat(Lowering&);
llvm::Value* lower_sub_sat(Lowering&);
llvm::Value* lower_hadd(Lowering&);
llvm::Value* lower_rhadd(Lowering&);
llvm::Value* lower_mul_hi(Lowering&);
llvm::Value* lower_mad_hi(Lowering&);
llvm::Value* lower_mad_sat(Lowering&);
llvm::Value* lower_mul24(Lowering&);
llvm::Value* lower_mad24(Lowering&);
llvm::Value* lower_popcount(Lowering&);
llvm::Value* lower_clz(Lowering&);
llvm::Value* lower_ctz(Lowering&);
llvm::Value* lower_reverse_bits(Lowering&);
llvm::Value* lower_rotate(Lowering&);
llvm::Value* lower_extract_bits(Lowering&);
llvm::Value* lower_insert_bits(Lowering&);
llvm::Value* lower_any(Lowering&);
llvm::Value* lower_all(Lowering&);
llvm::Value* lower_select(Lowering&);
llvm::Value* lower_is_uniform(Lowering&);
llvm::Value* lower_predicate(Lowering&);
// lower_convert.cpp
llvm::Value* lower_convert(Lowering&);
// lower_atomic.cpp
llvm::Value* lower_atomic(Lowering&);
llvm::Value* lower_atomic_fence(Lowering&);
// lower_pack.cpp
llvm::Value* lower_pack(Lowering&);
llvm::Value* lower_unpack(Lowering&);

// lower_log.cpp
llvm::Value* lower_os_log(Lowering&);
// lower_texture.cpp
llvm::Value* lower_texture(Lowering&);
// "sample_texture_2d" and its like; the families are too many for a row each.
bool is_texture_family(llvm::StringRef family);
// Of the run time's functions behind them (cpu/texture.h).
inline constexpr const char* kTexturePrefix = "metalwright_texture_";

} // namespace metalwright::simt
