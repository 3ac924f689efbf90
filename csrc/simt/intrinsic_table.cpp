// Every family of AIR intrinsics that lower_intrinsics handles, as data. docs/design/intrinsics.md
// explains the columns and where each name comes from.
#include "simt/lowering.h"

namespace metalwright::simt {
namespace {

constexpr Operands floats = Operands::floats;
constexpr Operands integers = Operands::integers;
constexpr Operands any = Operands::any;

// A function of the maths library under its own name.
constexpr IntrinsicRow library(std::string_view family, unsigned arguments) {
  return {family, arguments, floats, lower_float_library, family};
}

constexpr IntrinsicRow llvm_float(std::string_view family, unsigned arguments,
                                  llvm::Intrinsic::ID id) {
  return {family, arguments, floats, lower_float_intrinsic, {}, id};
}

constexpr IntrinsicRow rows[] = {
    // Rounding and arithmetic.
    llvm_float("fabs", 1, llvm::Intrinsic::fabs),
    llvm_float("floor", 1, llvm::Intrinsic::floor),
    llvm_float("ceil", 1, llvm::Intrinsic::ceil),
    llvm_float("trunc", 1, llvm::Intrinsic::trunc),
    llvm_float("round", 1, llvm::Intrinsic::round),
    llvm_float("rint", 1, llvm::Intrinsic::roundeven),
    llvm_float("sqrt", 1, llvm::Intrinsic::sqrt),
    llvm_float("copysign", 2, llvm::Intrinsic::copysign),
    llvm_float("fmin", 2, llvm::Intrinsic::minnum),
    llvm_float("fmax", 2, llvm::Intrinsic::maxnum),
    llvm_float("fma", 3, llvm::Intrinsic::fma),
    {"fmin3", 3, floats, lower_fmin3},
    {"fmax3", 3, floats, lower_fmax3},
    {"fmedian3", 3, floats, lower_fmedian3},
    {"fract", 1, floats, lower_fract},
    {"fdim", 2, floats, lower_fdim},
    {"divide", 2, floats, lower_divide},
    {"recip", 1, floats, lower_recip},
    {"sign", 1, floats, lower_sign},
    {"saturate", 1, floats, lower_saturate},
    {"step", 2, floats, lower_step},
    {"smoothstep", 3, floats, lower_smoothstep},
    {"mix", 3, floats, lower_mix},
    {"nextafter", 2, floats, lower_nextafter},
    {"modf", 2, any, lower_modf},
    {"frexp", 2, any, lower_frexp},
    {"ldexp", 2, any, lower_ldexp},
    {"ilogb", 1, any, lower_ilogb},
    library("fmod", 2),
    library("rsqrt", 1),

    // Exponentials and logarithms.
    library("exp", 1),
    library("exp2", 1),
    library("exp10", 1),
    library("log", 1),
    library("log2", 1),
    library("log10", 1),
    library("pow", 2),
    library("powr", 2),

    // Trigonometric and hyperbolic.
    library("sin", 1),
    library("cos", 1),
    library("tan", 1),
    library("sinpi", 1),
    library("cospi", 1),
    library("tanpi", 1),
    {"sincos", 2, any, lower_sincos},
    library("asin", 1),
    library("acos", 1),
    library("atan", 1),
    library("atan2", 2),
    library("asinpi", 1),
    library("acospi", 1),
    library("atanpi", 1),
    library("atan2pi", 2),
    library("sinh", 1),
    library("cosh", 1),
    library("tanh", 1),
    library("asinh", 1),
    library("acosh", 1),
    library("atanh", 1),

    // Classification: results are i1 or vectors of it.
    {"isnan", 1, any, lower_classify},
    {"isinf", 1, any, lower_classify},
    {"isfinite", 1, any, lower_classify},
    {"isnormal", 1, any, lower_classify},
    {"signbit", 1, any, lower_classify},
    {"isordered", 2, any, lower_classify},
    {"isunordered", 2, any, lower_classify},

    // Geometry.
    {"dot", 2, any, lower_dot},
    {"cross", 2, floats, lower_cross},
    {"length", 1, any, lower_length},
    {"length_squared", 1, any, lower_length_squared},
    {"distance", 2, any, lower_distance},
    {"distance_squared", 2, any, lower_distance_squared},
    {"normalize", 1, floats, lower_normalize},
    {"reflect", 2, floats, lower_reflect},
    {"refract", 3, any, lower_refract},
    {"faceforward", 3, floats, lower_faceforward},

    // Integers. `clamp` is both: with "s" or "u" integers, else floats.
    {"abs", 1, integers, lower_abs},
    {"abs_diff", 2, integers, lower_abs_diff},
    {"min", 2, integers, lower_min},
    {"max", 2, integers, lower_max},
    {"min3", 3, integers, lower_min3},
    {"max3", 3, integers, lower_max3},
    {"median3", 3, integers, lower_median3},
    {"clamp", 3, any, lower_clamp},
    {"add_sat", 2, integers, lower_add_sat},
    {"sub_sat", 2, integers, lower_sub_sat},
    {"hadd", 2, integers, lower_hadd},
    {"rhadd", 2, integers, lower_rhadd},
    {"mul_hi", 2, integers, lower_mul_hi},
    {"mad_hi", 3, integers, lower_mad_hi},
    {"mad_sat", 3, integers, lower_mad_sat},
    {"mul24", 2, integers, lower_mul24},
    {"mad24", 3, integers, lower_mad24},
    {"popcount", 1, integers, lower_popcount},
    {"clz", 1, integers, lower_clz},
    {"ctz", 1, integers, lower_ctz},
    {"reverse_bits", 1, integers, lower_reverse_bits},
    {"rotate", 2, integers, lower_rotate},
    {"extract_bits", 3, any, lower_extract_bits},
    {"insert_bits", 4, any, lower_insert_bits},

    // Booleans and hints.
    {"any", 1, any, lower_any},
    {"all", 1, any, lower_all},
    {"select", 3, any, lower_select},
    {"is_uniform", 1, any, lower_is_uniform},
    {"normalize_function_constant_predicate", 1, integers, lower_predicate},

    // Conversion between scalar types and their vectors; packing.
    {"convert", 1, any, lower_convert},
    {"pack", 1, any, lower_pack},
    {"unpack", 1, any, lower_unpack},

    {"os_log.words", 6, any, lower_os_log},

    // Atomics.
    {"atomic.global", 3, any, lower_atomic},
    {"atomic.local", 3, any, lower_atomic},
    {"atomic.fence", 2, any, lower_atomic_fence},
};

} // namespace

llvm::ArrayRef<IntrinsicRow> intrinsic_rows() {
  return rows;
}

} // namespace metalwright::simt
