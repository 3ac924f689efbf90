// min, max, clamp and the small shaping functions, for scalars and vectors of every type.
#pragma once

#include "metal_math.h"
#include "metal_relational.h"

namespace metal {
_MSL_DECLARE3(__clamp, "clamp", float, "f32")
_MSL_DECLARE3(__clamp, "clamp", half, "f16")

// The exact overloads spare the common case the work of the templates below.
METAL_FUNC float max(float x, float y) { return fmax(x, y); }
METAL_FUNC float min(float x, float y) { return fmin(x, y); }
METAL_FUNC half max(half x, half y) { return fmax(x, y); }
METAL_FUNC half min(half x, half y) { return fmin(x, y); }
METAL_FUNC constexpr int max(int x, int y) { return x < y ? y : x; }
METAL_FUNC constexpr int min(int x, int y) { return y < x ? y : x; }
METAL_FUNC constexpr uint max(uint x, uint y) { return x < y ? y : x; }
METAL_FUNC constexpr uint min(uint x, uint y) { return y < x ? y : x; }
METAL_FUNC float clamp(float x, float low, float high) { return __clamp(x, low, high); }
METAL_FUNC half clamp(half x, half low, half high) { return __clamp(x, low, high); }

#define _MSL_EXTREMUM(name, exact, test)                                           \
  template <typename A, typename B, typename T = __msl::common_scalar<A, B>>       \
  METAL_FUNC constexpr T name(A x, B y) {                                          \
    if constexpr (__msl::is_float<T>)                                              \
      return exact(T(x), T(y));                                                    \
    else                                                                           \
      return (test) ? T(y) : T(x);                                                 \
  }                                                                                \
  template <typename T, int N>                                                     \
  METAL_FUNC constexpr vec<T, N> name(vec<T, N> x, vec<T, N> y) {                  \
    if constexpr (__msl::is_float<T>)                                              \
      return exact(x, y);                                                          \
    else                                                                           \
      return __msl::pack<T, N>(__builtin_elementwise_##name(x.v, y.v));            \
  }                                                                                \
  template <typename T, int N>                                                     \
  METAL_FUNC constexpr vec<T, N> name(vec<T, N> x, type_identity_t<T> y) {         \
    return name(x, vec<T, N>(y));                                                  \
  }                                                                                \
  template <typename T, int N>                                                     \
  METAL_FUNC constexpr vec<T, N> name(type_identity_t<T> x, vec<T, N> y) {         \
    return name(vec<T, N>(x), y);                                                  \
  }
_MSL_EXTREMUM(max, fmax, T(x) < T(y))
_MSL_EXTREMUM(min, fmin, T(y) < T(x))
#undef _MSL_EXTREMUM

template <typename A, typename B, typename C, typename T = __msl::common_scalar<A, B, C>>
METAL_FUNC constexpr T clamp(A x, B low, C high) {
  return min(max(T(x), T(low)), T(high));
}
template <typename T, int N>
METAL_FUNC constexpr vec<T, N> clamp(vec<T, N> x, type_identity_t<vec<T, N>> low,
                                     type_identity_t<vec<T, N>> high) {
  return min(max(x, low), high);
}

#define _MSL_OF_THREE(name, ...)                                                                \
  template <typename A, typename B, typename C, typename T = __msl::common_scalar<A, B, C>>     \
  METAL_FUNC constexpr T name(A a, B b, C c) {                                                  \
    T x(a), y(b), z(c);                                                                         \
    return __VA_ARGS__;                                                                         \
  }                                                                                             \
  template <typename T, int N>                                                                  \
  METAL_FUNC constexpr vec<T, N> name(vec<T, N> x, vec<T, N> y, vec<T, N> z) {                  \
    return __VA_ARGS__;                                                                         \
  }
_MSL_OF_THREE(max3, max(x, max(y, z)))
_MSL_OF_THREE(min3, min(x, min(y, z)))
_MSL_OF_THREE(median3, max(min(x, y), min(max(x, y), z)))
_MSL_OF_THREE(fmax3, fmax(x, fmax(y, z)))
_MSL_OF_THREE(fmin3, fmin(x, fmin(y, z)))
_MSL_OF_THREE(fmedian3, fmax(fmin(x, y), fmin(fmax(x, y), z)))
#undef _MSL_OF_THREE

template <typename A, typename B, typename C, typename T = __msl::common_scalar<A, B, C>,
          typename = __msl::if_float<T>>
METAL_FUNC constexpr T mix(A x, B y, C a) {
  return T(x) + (T(y) - T(x)) * T(a);
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC constexpr vec<T, N> mix(vec<T, N> x, type_identity_t<vec<T, N>> y,
                                   type_identity_t<vec<T, N>> a) {
  return x + (y - x) * a;
}
// NaN saturates to 0.
template <typename T, typename = __msl::if_float<T>>
METAL_FUNC T saturate(T x) {
  return fmin(fmax(x, T(0)), T(1));
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC vec<T, N> saturate(vec<T, N> x) {
  return fmin(fmax(x, vec<T, N>(T(0))), vec<T, N>(T(1)));
}
// 1 or -1 by sign, zeros stay what they are, NaN gives 0.
template <typename T, typename = __msl::if_float<T>>
METAL_FUNC constexpr T sign(T x) {
  return x > T(0) ? T(1) : x < T(0) ? T(-1) : x == T(0) ? x : T(0);
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC constexpr vec<T, N> sign(vec<T, N> x) {
  vec<T, N> zero = select(vec<T, N>(T(0)), x, x == T(0));
  return select(select(zero, vec<T, N>(T(-1)), x < T(0)), vec<T, N>(T(1)), x > T(0));
}
template <typename A, typename B, typename T = __msl::common_scalar<A, B>,
          typename = __msl::if_float<T>>
METAL_FUNC constexpr T step(A edge, B x) {
  return T(x) < T(edge) ? T(0) : T(1);
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC constexpr vec<T, N> step(vec<T, N> edge, vec<T, N> x) {
  return vec<T, N>(!(x < edge));
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC constexpr vec<T, N> step(type_identity_t<T> edge, vec<T, N> x) {
  return vec<T, N>(!(x < edge));
}
template <typename A, typename B, typename C, typename T = __msl::common_scalar<A, B, C>,
          typename = __msl::if_float<T>>
METAL_FUNC T smoothstep(A low, B high, C x) {
  T t = saturate((T(x) - T(low)) / (T(high) - T(low)));
  return t * t * (T(3) - T(2) * t);
}
template <typename T, int N, typename = __msl::if_float<T>>
METAL_FUNC vec<T, N> smoothstep(type_identity_t<vec<T, N>> low, type_identity_t<vec<T, N>> high,
                                vec<T, N> x) {
  vec<T, N> t = saturate((x - low) / (high - low));
  return t * t * (T(3) - T(2) * t);
}
template <typename T, typename = __msl::if_float<T>>
METAL_FUNC constexpr T degrees(T x) {
  return x * T(57.295779513082321f);
}
template <typename T, typename = __msl::if_float<T>>
METAL_FUNC constexpr T radians(T x) {
  return x * T(0.017453292519943295f);
}

namespace precise {
using metal::clamp;
using metal::max;
using metal::min;
using metal::mix;
using metal::saturate;
using metal::sign;
using metal::smoothstep;
using metal::step;
} // namespace precise
namespace fast {
using metal::clamp;
using metal::max;
using metal::min;
using metal::mix;
using metal::saturate;
using metal::sign;
using metal::smoothstep;
using metal::step;
} // namespace fast
} // namespace metal
