// Geometric functions on floating-point vectors (and dot on integer ones).
#pragma once

#include "metal_integer.h"

namespace metal {
namespace __raw {
#define _MSL_DOT(T, s)                                                                  \
  METAL_CONST T dot(__msl::raw<T, 2>, __msl::raw<T, 2>) METAL_AIR("dot.v2" s);          \
  METAL_CONST T dot(__msl::raw<T, 3>, __msl::raw<T, 3>) METAL_AIR("dot.v3" s);          \
  METAL_CONST T dot(__msl::raw<T, 4>, __msl::raw<T, 4>) METAL_AIR("dot.v4" s);
_MSL_DOT(float, "f32")
_MSL_DOT(half, "f16")
#undef _MSL_DOT
} // namespace __raw

template <typename T, int N>
METAL_FUNC T dot(vec<T, N> x, vec<T, N> y) {
  if constexpr (__msl::is_bfloat<T>)
    return T(__raw::dot(__msl::widen<N>(x.v), __msl::widen<N>(y.v)));
  else if constexpr (__msl::is_float<T>)
    return __raw::dot(x.v, y.v);
  else {
    T sum = 0;
    for (int i = 0; i < N; ++i)
      sum = T(sum + T(x.v[i] * y.v[i]));
    return sum;
  }
}
template <typename T>
METAL_FUNC constexpr vec<T, 3> cross(vec<T, 3> x, vec<T, 3> y) {
  return x.yzx * y.zxy - x.zxy * y.yzx;
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC T length_squared(vec<T, N> x) {
  return dot(x, x);
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC T distance_squared(vec<T, N> x, vec<T, N> y) {
  return length_squared(x - y);
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC vec<T, N> faceforward(vec<T, N> n, vec<T, N> i, vec<T, N> reference) {
  return dot(reference, i) < T(0) ? n : -n;
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC vec<T, N> reflect(vec<T, N> i, vec<T, N> n) {
  return i - T(2) * dot(n, i) * n;
}

#define _MSL_LENGTHS(space)                                          \
  template <typename T, int N, typename = __msl::if_float<T>>        \
  METAL_FUNC T length(vec<T, N> x) {                                 \
    return space::sqrt(dot(x, x));                                   \
  }                                                                  \
  template <typename T, int N, typename = __msl::if_float<T>>        \
  METAL_FUNC T distance(vec<T, N> x, vec<T, N> y) {                  \
    return space::sqrt(dot(x - y, x - y));                           \
  }                                                                  \
  template <typename T, int N, typename = __msl::if_float<T>>        \
  METAL_FUNC vec<T, N> normalize(vec<T, N> x) {                      \
    return x * space::rsqrt(dot(x, x));                              \
  }                                                                  \
  template <typename T, int N, typename = __msl::if_float<T>>        \
  METAL_FUNC vec<T, N> refract(vec<T, N> i, vec<T, N> n, type_identity_t<T> eta) { \
    T d = dot(n, i);                                                 \
    T k = T(1) - eta * eta * (T(1) - d * d);                         \
    return k < T(0) ? vec<T, N>(T(0)) : eta * i - (eta * d + space::sqrt(k)) * n; \
  }
_MSL_LENGTHS(metal)
namespace precise {
_MSL_LENGTHS(metal::precise)
using metal::dot;
} // namespace precise
namespace fast {
_MSL_LENGTHS(metal::fast)
using metal::dot;
} // namespace fast
#undef _MSL_LENGTHS
} // namespace metal
