// The floating-point functions. Each is a declaration whose assembler label is the air.* intrinsic.
//
// `air.default_<f>` stands for "what the compile options say": the driver renames it to `air.<f>` or
// `air.fast_<f>`. precise:: and fast:: name one of the two. half has one form. A bfloat argument is
// converted to float, and float is what comes back: Apple's library has no functions of bfloat. They
// are templates here, so that programs may define overloads for bfloat in namespace metal.
#pragma once

#include "metal_scalar_rules.h"

// The eight labelled declarations of a function: scalars here, vectors beside them in __raw.
#define _MSL_DECLARE1(f, label, T, s)                              \
  METAL_CONST T f(T) METAL_AIR(label "." s);                       \
  namespace __raw {                                                \
  METAL_CONST __msl::raw<T, 2> f(__msl::raw<T, 2>) METAL_AIR(label ".v2" s); \
  METAL_CONST __msl::raw<T, 3> f(__msl::raw<T, 3>) METAL_AIR(label ".v3" s); \
  METAL_CONST __msl::raw<T, 4> f(__msl::raw<T, 4>) METAL_AIR(label ".v4" s); \
  }
#define _MSL_DECLARE2(f, label, T, s)                              \
  METAL_CONST T f(T, T) METAL_AIR(label "." s);                    \
  namespace __raw {                                                \
  METAL_CONST __msl::raw<T, 2> f(__msl::raw<T, 2>, __msl::raw<T, 2>) METAL_AIR(label ".v2" s); \
  METAL_CONST __msl::raw<T, 3> f(__msl::raw<T, 3>, __msl::raw<T, 3>) METAL_AIR(label ".v3" s); \
  METAL_CONST __msl::raw<T, 4> f(__msl::raw<T, 4>, __msl::raw<T, 4>) METAL_AIR(label ".v4" s); \
  }
#define _MSL_DECLARE3(f, label, T, s)                              \
  METAL_CONST T f(T, T, T) METAL_AIR(label "." s);                 \
  namespace __raw {                                                \
  METAL_CONST __msl::raw<T, 2> f(__msl::raw<T, 2>, __msl::raw<T, 2>, __msl::raw<T, 2>) METAL_AIR(label ".v2" s); \
  METAL_CONST __msl::raw<T, 3> f(__msl::raw<T, 3>, __msl::raw<T, 3>, __msl::raw<T, 3>) METAL_AIR(label ".v3" s); \
  METAL_CONST __msl::raw<T, 4> f(__msl::raw<T, 4>, __msl::raw<T, 4>, __msl::raw<T, 4>) METAL_AIR(label ".v4" s); \
  }

// What users call, above the declarations.
#define _MSL_FORWARD1(f)                                                     \
  template <typename T, typename = __msl::if_bfloat<T>>                      \
  METAL_FUNC float f(T x) {                                                  \
    return f(float(x));                                                      \
  }                                                                          \
  template <typename T, int N, typename = __msl::if_float<T>>                \
  METAL_FUNC vec<T, N> f(vec<T, N> x) {                                      \
    if constexpr (__msl::is_bfloat<T>)                                       \
      return __msl::pack<T, N>(__msl::narrow<N>(__raw::f(__msl::widen<N>(x.v)))); \
    else                                                                     \
      return __msl::pack<T, N>(__raw::f(x.v));                               \
  }
#define _MSL_FORWARD2(f)                                                     \
  template <typename T, typename = __msl::if_bfloat<T>>                      \
  METAL_FUNC float f(T x, T y) {                                             \
    return f(float(x), float(y));                                            \
  }                                                                          \
  template <typename A, typename B, typename T = __msl::common_float<A, B>>  \
  METAL_FUNC T f(A x, B y) {                                                 \
    return f(T(x), T(y));                                                    \
  }                                                                          \
  template <typename T, int N, typename = __msl::if_float<T>>                \
  METAL_FUNC vec<T, N> f(vec<T, N> x, vec<T, N> y) {                         \
    if constexpr (__msl::is_bfloat<T>)                                       \
      return __msl::pack<T, N>(__msl::narrow<N>(                             \
          __raw::f(__msl::widen<N>(x.v), __msl::widen<N>(y.v))));            \
    else                                                                     \
      return __msl::pack<T, N>(__raw::f(x.v, y.v));                          \
  }                                                                          \
  template <typename T, int N, typename = __msl::if_float<T>>                \
  METAL_FUNC vec<T, N> f(vec<T, N> x, type_identity_t<T> y) {                \
    return f(x, vec<T, N>(y));                                               \
  }                                                                          \
  template <typename T, int N, typename = __msl::if_float<T>>                \
  METAL_FUNC vec<T, N> f(type_identity_t<T> x, vec<T, N> y) {                \
    return f(vec<T, N>(x), y);                                               \
  }
#define _MSL_FORWARD3(f)                                                     \
  template <typename T, typename = __msl::if_bfloat<T>>                      \
  METAL_FUNC float f(T x, T y, T z) {                                        \
    return f(float(x), float(y), float(z));                                  \
  }                                                                          \
  template <typename A, typename B, typename C, typename T = __msl::common_float<A, B, C>> \
  METAL_FUNC T f(A x, B y, C z) {                                            \
    return f(T(x), T(y), T(z));                                              \
  }                                                                          \
  template <typename T, int N, typename = __msl::if_float<T>>                \
  METAL_FUNC vec<T, N> f(vec<T, N> x, type_identity_t<vec<T, N>> y, type_identity_t<vec<T, N>> z) { \
    if constexpr (__msl::is_bfloat<T>)                                       \
      return __msl::pack<T, N>(__msl::narrow<N>(                             \
          __raw::f(__msl::widen<N>(x.v), __msl::widen<N>(y.v), __msl::widen<N>(z.v)))); \
    else                                                                     \
      return __msl::pack<T, N>(__raw::f(x.v, y.v, z.v));                     \
  }

// Functions with two variants, in all three namespaces.
#define _MSL_VARIANTS(arity, f)                            \
  _MSL_DECLARE##arity(f, "default_" #f, float, "f32")      \
  _MSL_DECLARE##arity(f, #f, half, "f16")                  \
  _MSL_FORWARD##arity(f)                                   \
  namespace precise {                                      \
  _MSL_DECLARE##arity(f, #f, float, "f32")                 \
  _MSL_DECLARE##arity(f, #f, half, "f16")                  \
  _MSL_FORWARD##arity(f)                                   \
  }                                                        \
  namespace fast {                                         \
  _MSL_DECLARE##arity(f, "fast_" #f, float, "f32")         \
  _MSL_DECLARE##arity(f, #f, half, "f16")                  \
  _MSL_FORWARD##arity(f)                                   \
  }
// Exact or correctly rounded functions: one form, visible in all three namespaces.
#define _MSL_ONE_FORM(arity, f, label)          \
  _MSL_DECLARE##arity(f, label, float, "f32")   \
  _MSL_DECLARE##arity(f, label, half, "f16")    \
  _MSL_FORWARD##arity(f)                        \
  namespace precise { using metal::f; }         \
  namespace fast { using metal::f; }

namespace metal {
_MSL_VARIANTS(1, acos)
_MSL_VARIANTS(1, acosh)
_MSL_VARIANTS(1, asin)
_MSL_VARIANTS(1, asinh)
_MSL_VARIANTS(1, atan)
_MSL_VARIANTS(1, atanh)
_MSL_VARIANTS(1, cos)
_MSL_VARIANTS(1, cosh)
_MSL_VARIANTS(1, cospi)
_MSL_VARIANTS(1, exp)
_MSL_VARIANTS(1, exp2)
_MSL_VARIANTS(1, exp10)
_MSL_VARIANTS(1, log)
_MSL_VARIANTS(1, log2)
_MSL_VARIANTS(1, log10)
_MSL_VARIANTS(1, rsqrt)
_MSL_VARIANTS(1, sin)
_MSL_VARIANTS(1, sinh)
_MSL_VARIANTS(1, sinpi)
_MSL_VARIANTS(1, sqrt)
_MSL_VARIANTS(1, tan)
_MSL_VARIANTS(1, tanh)
_MSL_VARIANTS(1, tanpi)
_MSL_VARIANTS(2, atan2)
_MSL_VARIANTS(2, pow)
_MSL_VARIANTS(2, powr)

_MSL_ONE_FORM(1, fabs, "fabs")
_MSL_ONE_FORM(1, ceil, "ceil")
_MSL_ONE_FORM(1, floor, "floor")
_MSL_ONE_FORM(1, fract, "fract")
_MSL_ONE_FORM(1, rint, "rint")
_MSL_ONE_FORM(1, round, "round")
_MSL_ONE_FORM(1, trunc, "trunc")
_MSL_ONE_FORM(2, fmax, "fmax")
_MSL_ONE_FORM(2, fmin, "fmin")
_MSL_ONE_FORM(2, fmod, "fmod")
_MSL_ONE_FORM(2, nextafter, "nextafter")
_MSL_ONE_FORM(3, fma, "fma")
} // namespace metal
