// numeric_limits for every scalar type.
#pragma once

#include "metal_types.h"

namespace metal {
enum float_round_style {
  round_indeterminate = -1,
  round_toward_zero = 0,
  round_to_nearest = 1,
  round_toward_infinity = 2,
  round_toward_neg_infinity = 3
};

namespace __msl {
template <typename T>
struct integer_limits {
  static constexpr bool is_specialized = true, is_signed = __is_signed(T), is_integer = true,
                        is_exact = true, has_infinity = false, has_quiet_NaN = false,
                        has_signaling_NaN = false, is_iec559 = false, is_bounded = true,
                        is_modulo = !__is_signed(T), traps = false, tinyness_before = false;
  static constexpr float_round_style round_style = round_toward_zero;
  static constexpr int digits = int(sizeof(T)) * 8 - is_signed;
  static constexpr int digits10 = digits * 30103 / 100000, max_digits10 = 0, radix = 2,
                       min_exponent = 0, min_exponent10 = 0, max_exponent = 0, max_exponent10 = 0;
  static constexpr T max() { return T(ulong(-1) >> (64 - digits)); }
  static constexpr T min() { return is_signed ? T(-max() - 1) : T(0); }
  static constexpr T lowest() { return min(); }
  static constexpr T epsilon() { return T(0); }
  static constexpr T round_error() { return T(0); }
  static constexpr T infinity() { return T(0); }
  static constexpr T quiet_NaN() { return T(0); }
  static constexpr T signaling_NaN() { return T(0); }
  static constexpr T denorm_min() { return T(0); }
};
template <typename T, int Mantissa, int MaxExponent>
struct float_limits {
  static constexpr bool is_specialized = true, is_signed = true, is_integer = false,
                        is_exact = false, has_infinity = true, has_quiet_NaN = true,
                        has_signaling_NaN = true, is_iec559 = true, is_bounded = true,
                        is_modulo = false, traps = false, tinyness_before = false;
  static constexpr float_round_style round_style = round_to_nearest;
  static constexpr int digits = Mantissa, digits10 = (Mantissa - 1) * 30103 / 100000,
                       max_digits10 = 2 + Mantissa * 30103 / 100000, radix = 2,
                       max_exponent = MaxExponent, min_exponent = 3 - MaxExponent,
                       max_exponent10 = MaxExponent * 30103 / 100000,
                       min_exponent10 = -((MaxExponent - 2) * 30103 / 100000);
  static constexpr T round_error() { return T(0.5f); }
  static constexpr T infinity() { return T(__builtin_inff()); }
  static constexpr T quiet_NaN() { return T(__builtin_nanf("")); }
  static constexpr T signaling_NaN() { return T(__builtin_nanf("")); }
};
} // namespace __msl

template <typename T>
struct numeric_limits {
  static constexpr bool is_specialized = false;
};
template <typename T>
struct numeric_limits<const T> : numeric_limits<T> {};
template <typename T>
struct numeric_limits<volatile T> : numeric_limits<T> {};

template <>
struct numeric_limits<bool> : __msl::integer_limits<bool> {
  static constexpr int digits = 1, digits10 = 0;
  static constexpr bool max() { return true; }
  static constexpr bool min() { return false; }
  static constexpr bool lowest() { return false; }
};
#define _MSL_LIMITS(T) \
  template <>          \
  struct numeric_limits<T> : __msl::integer_limits<T> {};
_MSL_FOR_INTEGERS(_MSL_LIMITS)
_MSL_LIMITS(signed char)
#undef _MSL_LIMITS
#define _MSL_LIMITS(T, mantissa, exponent, largest, smallest, step, tiny)        \
  template <>                                                                   \
  struct numeric_limits<T> : __msl::float_limits<T, mantissa, exponent> {       \
    static constexpr T max() { return T(largest); }                             \
    static constexpr T lowest() { return T(-largest); }                         \
    static constexpr T min() { return T(smallest); }                            \
    static constexpr T epsilon() { return T(step); }                            \
    static constexpr T denorm_min() { return __builtin_bit_cast(T, tiny); }     \
  };
_MSL_LIMITS(float, 24, 128, 0x1.fffffep127f, 0x1p-126f, 0x1p-23f, uint(1))
_MSL_LIMITS(half, 11, 16, 0x1.ffcp15f, 0x1p-14f, 0x1p-10f, ushort(1))
_MSL_LIMITS(bfloat, 8, 128, 0x1.fep127f, 0x1p-126f, 0x1p-7f, ushort(1))
#undef _MSL_LIMITS
} // namespace metal
