// Floating-point functions made of others or of bits, and those with a second result.
#pragma once

#include "metal_common.h"

namespace metal {
// The vector form names the namespace of its parts: they are found in metal by their argument, too.
#define _MSL_SINCOS(label, within)                                                \
  float __sincos(float, thread float*) METAL_AIR(label ".f32"); \
  template <typename T, typename = __msl::if_float<T>>                            \
  METAL_FUNC T sincos(T x, thread T& c) {                                         \
    float cosine;                                                                 \
    float sine = __sincos(float(x), &cosine);                                     \
    c = T(cosine);                                                                \
    return T(sine);                                                               \
  }                                                                               \
  template <typename T, int N, typename = __msl::if_float<T>>                     \
  METAL_FUNC vec<T, N> sincos(vec<T, N> x, thread vec<T, N>& c) {                 \
    c = within::cos(x);                                                           \
    return within::sin(x);                                                        \
  }
_MSL_SINCOS("default_sincos", metal)
namespace precise { _MSL_SINCOS("sincos", precise) }
namespace fast { _MSL_SINCOS("fast_sincos", fast) }
#undef _MSL_SINCOS

namespace __msl {
METAL_CONST float scale(float, int) METAL_AIR("ldexp.f32");
METAL_CONST half scale(half, int) METAL_AIR("ldexp.f16");
} // namespace __msl
template <typename T, typename = __msl::if_float<T>>
METAL_FUNC T ldexp(T x, int e) {
  if constexpr (__msl::is_bfloat<T>)
    return T(__msl::scale(float(x), e));
  else
    return __msl::scale(x, e);
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC vec<T, N> ldexp(vec<T, N> x, vec<int, N> e) {
  vec<T, N> r;
  for (int i = 0; i < N; ++i)
    r.v[i] = ldexp(T(x.v[i]), e.v[i]);
  return r;
}

template <typename T, typename = __msl::if_float<T>>
METAL_FUNC T copysign(T x, T y) {
  using B = __msl::bits_t<T>;
  constexpr B m = __msl::format<T>::magnitude;
  return __builtin_bit_cast(T, B((__msl::bits(x) & m) | (__msl::bits(y) & B(~m))));
}
template <typename A, typename B, typename T = __msl::common_float<A, B>>
METAL_FUNC T copysign(A x, B y) {
  return copysign(T(x), T(y));
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC vec<T, N> copysign(vec<T, N> x, vec<T, N> y) {
  using B = __msl::bits_t<T>;
  constexpr B m = __msl::format<T>::magnitude;
  return __msl::pack<T, N>(
      __builtin_bit_cast(__msl::raw<T, N>, (__msl::bits(x) & m) | (__msl::bits(y) & B(~m))));
}

// x = result * 2^e with the result in [0.5, 1); zeros, infinities and NaN come back with e = 0.
template <typename T, typename = __msl::if_float<T>>
METAL_FUNC T frexp(T x, thread int& e) {
  using F = __msl::format<T>;
  using B = __msl::bits_t<T>;
  B m = __msl::magnitude(x);
  if (m == 0 || m >= F::infinity) {
    e = 0;
    return x;
  }
  int shift = 0;
  if (m < F::smallest_normal) {
    x = x * T(1u << (F::mantissa + 1));
    m = __msl::magnitude(x);
    shift = F::mantissa + 1;
  }
  e = int(m >> F::mantissa) - (F::bias - 1) - shift;
  constexpr B exponent = F::infinity;
  return __builtin_bit_cast(T, B((__msl::bits(x) & B(~exponent)) | B(B(F::bias - 1) << F::mantissa)));
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC vec<T, N> frexp(vec<T, N> x, thread vec<int, N>& e) {
  vec<T, N> r;
  for (int i = 0; i < N; ++i) {
    int one;
    r.v[i] = frexp(T(x.v[i]), one);
    e.v[i] = one;
  }
  return r;
}
template <typename T, typename = __msl::if_float<T>>
METAL_FUNC T modf(T x, thread T& whole) {
  whole = trunc(x);
  return copysign(isinf(x) ? T(0) : T(x - whole), x);
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC vec<T, N> modf(vec<T, N> x, thread vec<T, N>& whole) {
  whole = trunc(x);
  return copysign(select(x - whole, vec<T, N>(T(0)), isinf(x)), x);
}
template <typename T, typename = __msl::if_float<T>>
METAL_FUNC int ilogb(T x) {
  if (__msl::magnitude(x) == 0)
    return FP_ILOGB0;
  if (isnan(x))
    return FP_ILOGBNAN;
  if (isinf(x))
    return INT_MAX;
  int e;
  frexp(x, e);
  return e - 1;
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC vec<int, N> ilogb(vec<T, N> x) {
  vec<int, N> r;
  for (int i = 0; i < N; ++i)
    r.v[i] = ilogb(T(x.v[i]));
  return r;
}
template <typename T, typename = __msl::if_float<T>>
METAL_FUNC T fdim(T x, T y) {
  return isunordered(x, y) ? T(NAN) : x > y ? T(x - y) : T(0);
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC vec<T, N> fdim(vec<T, N> x, vec<T, N> y) {
  vec<T, N> difference = select(vec<T, N>(T(0)), x - y, x > y);
  return select(difference, vec<T, N>(T(NAN)), isunordered(x, y));
}

// abs of a floating-point value is fabs; the integers' template takes bfloat along.
METAL_FUNC float abs(float x) { return fabs(x); }
METAL_FUNC half abs(half x) { return fabs(x); }

#define _MSL_DIVIDE                                           \
  template <typename T, typename = __msl::if_float<T>>        \
  METAL_FUNC constexpr T divide(T x, T y) {                   \
    return x / y;                                             \
  }                                                           \
  template <typename T, int N, typename = __msl::if_float<T>> \
  METAL_FUNC constexpr vec<T, N> divide(vec<T, N> x, vec<T, N> y) { \
    return x / y;                                             \
  }
_MSL_DIVIDE
#undef _MSL_DIVIDE

#define _MSL_EVERYWHERE(f)              \
  namespace precise { using metal::f; } \
  namespace fast { using metal::f; }
_MSL_EVERYWHERE(ldexp)
_MSL_EVERYWHERE(copysign)
_MSL_EVERYWHERE(frexp)
_MSL_EVERYWHERE(modf)
_MSL_EVERYWHERE(ilogb)
_MSL_EVERYWHERE(fdim)
_MSL_EVERYWHERE(divide)
_MSL_EVERYWHERE(fmax3)
_MSL_EVERYWHERE(fmin3)
_MSL_EVERYWHERE(fmedian3)
_MSL_EVERYWHERE(isnan)
_MSL_EVERYWHERE(isinf)
#undef _MSL_EVERYWHERE
} // namespace metal
