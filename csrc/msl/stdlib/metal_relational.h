// Tests on floating-point values, any, all and select.
//
// The class tests look at the bits: under fast math the compiler may assume away NaN in arithmetic
// comparisons, and a user who asks isnan wants the answer.
#pragma once

#include "metal_scalar_rules.h"

namespace metal {
namespace __msl {
template <typename T>
struct format;
template <>
struct format<half> {
  using bits = ushort;
  static constexpr ushort magnitude = 0x7fff, infinity = 0x7c00, smallest_normal = 0x0400;
  static constexpr int mantissa = 10, bias = 15;
};
template <>
struct format<bfloat> {
  using bits = ushort;
  static constexpr ushort magnitude = 0x7fff, infinity = 0x7f80, smallest_normal = 0x0080;
  static constexpr int mantissa = 7, bias = 127;
};
template <>
struct format<float> {
  using bits = uint;
  static constexpr uint magnitude = 0x7fffffff, infinity = 0x7f800000, smallest_normal = 0x00800000;
  static constexpr int mantissa = 23, bias = 127;
};
template <typename T>
using bits_t = typename format<T>::bits;
template <typename T>
METAL_FUNC constexpr bits_t<T> bits(T x) {
  return __builtin_bit_cast(bits_t<T>, x);
}
template <typename T, int N>
METAL_FUNC constexpr raw<bits_t<T>, N> bits(vec<T, N> x) {
  return __builtin_bit_cast(raw<bits_t<T>, N>, x.v);
}
template <typename T>
METAL_FUNC constexpr bits_t<T> magnitude(T x) {
  return bits(x) & format<T>::magnitude;
}
template <typename T, int N>
METAL_FUNC constexpr vec<bits_t<T>, N> magnitude(vec<T, N> x) {
  return vec<bits_t<T>, N>(bits(x) & format<T>::magnitude, raw_tag{});
}
} // namespace __msl

#define _MSL_CLASS_TEST(name, ...)                                            \
  template <typename T, typename F = __msl::format<__msl::if_float<T>>>       \
  METAL_FUNC constexpr bool name(T x) {                                       \
    auto m = __msl::magnitude(x);                                             \
    return __VA_ARGS__;                                                       \
  }                                                                           \
  template <typename T, int N, typename F = __msl::format<__msl::if_float<T>>> \
  METAL_FUNC constexpr vec<bool, N> name(vec<T, N> x) {                       \
    auto m = __msl::magnitude(x);                                             \
    return __VA_ARGS__;                                                       \
  }
_MSL_CLASS_TEST(isnan, m > F::infinity)
_MSL_CLASS_TEST(isinf, m == F::infinity)
_MSL_CLASS_TEST(isfinite, m < F::infinity)
_MSL_CLASS_TEST(isnormal, (m >= F::smallest_normal) & (m < F::infinity))
#undef _MSL_CLASS_TEST

template <typename T, typename = __msl::if_float<T>>
METAL_FUNC constexpr bool signbit(T x) {
  return (__msl::bits(x) & ~__msl::format<T>::magnitude & (__msl::bits_t<T>)(~0)) != 0;
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC constexpr vec<bool, N> signbit(vec<T, N> x) {
  using B = __msl::bits_t<T>;
  return vec<B, N>(__msl::bits(x), __msl::raw_tag{}) > vec<B, N>(B(__msl::format<T>::magnitude));
}

template <typename T, typename = __msl::if_float<T>>
METAL_FUNC constexpr bool isunordered(T x, T y) {
  return isnan(x) || isnan(y);
}
template <typename A, typename B, typename T = __msl::common_float<A, B>>
METAL_FUNC constexpr bool isunordered(A x, B y) {
  return isunordered(T(x), T(y));
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC constexpr vec<bool, N> isunordered(vec<T, N> x, vec<T, N> y) {
  return isnan(x) | isnan(y);
}
template <typename T, typename = __msl::if_float<T>>
METAL_FUNC constexpr bool isordered(T x, T y) {
  return !isunordered(x, y);
}
template <typename A, typename B, typename T = __msl::common_float<A, B>>
METAL_FUNC constexpr bool isordered(A x, B y) {
  return !isunordered(T(x), T(y));
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC constexpr vec<bool, N> isordered(vec<T, N> x, vec<T, N> y) {
  return !isunordered(x, y);
}

#define _MSL_COMPARE(name, op)                                               \
  template <typename A, typename B, typename T = __msl::common_scalar<A, B>> \
  METAL_FUNC constexpr bool name(A x, B y) {                                 \
    return T(x) op T(y);                                                     \
  }                                                                          \
  template <typename T, int N>                                               \
  METAL_FUNC constexpr vec<bool, N> name(vec<T, N> x, vec<T, N> y) {         \
    return x op y;                                                           \
  }
_MSL_COMPARE(isequal, ==)
_MSL_COMPARE(isnotequal, !=)
_MSL_COMPARE(isgreater, >)
_MSL_COMPARE(isgreaterequal, >=)
_MSL_COMPARE(isless, <)
_MSL_COMPARE(islessequal, <=)
#undef _MSL_COMPARE
template <typename T, typename = __msl::if_float<T>>
METAL_FUNC constexpr bool islessgreater(T x, T y) {
  return x < y || x > y;
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC constexpr vec<bool, N> islessgreater(vec<T, N> x, vec<T, N> y) {
  return (x < y) | (x > y);
}

METAL_FUNC constexpr bool any(bool x) { return x; }
METAL_FUNC constexpr bool all(bool x) { return x; }
METAL_FUNC constexpr bool any(bool2 x) { return x.x | x.y; }
METAL_FUNC constexpr bool any(bool3 x) { return x.x | x.y | x.z; }
METAL_FUNC constexpr bool any(bool4 x) { return x.x | x.y | x.z | x.w; }
METAL_FUNC constexpr bool all(bool2 x) { return x.x & x.y; }
METAL_FUNC constexpr bool all(bool3 x) { return x.x & x.y & x.z; }
METAL_FUNC constexpr bool all(bool4 x) { return x.x & x.y & x.z & x.w; }

// select(a, b, c): b where c is true, else a.
template <typename A, typename B, typename T = __msl::common_scalar<A, B>>
METAL_FUNC constexpr T select(A a, B b, bool c) {
  return c ? T(b) : T(a);
}
template <typename T, int N>
METAL_FUNC constexpr vec<T, N> select(vec<T, N> a, type_identity_t<vec<T, N>> b, bool c) {
  return c ? b : a;
}
template <typename T, int N>
METAL_FUNC constexpr vec<T, N> select(vec<T, N> a, type_identity_t<vec<T, N>> b, vec<bool, N> c) {
  using lane = __msl::raw<conditional_t<sizeof(T) == 1, char,
                                        conditional_t<sizeof(T) == 2, short,
                                                      conditional_t<sizeof(T) == 4, int, long>>>,
                          N>;
  return __msl::pack<T, N>(__builtin_convertvector(c.v, lane) != 0 ? b.v : a.v);
}
template <typename T, int N>
METAL_FUNC constexpr vec<T, N> select(T a, vec<T, N> b, vec<bool, N> c) {
  return select(vec<T, N>(a), b, c);
}
} // namespace metal
