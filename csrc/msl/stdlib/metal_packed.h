// packed_float3 and the like: the elements of a vector without its alignment, as buffers hold them.
#pragma once

#include "metal_vec.h"

namespace metal {
namespace __msl {
// The vector type is an argument, so that its operators are found for `packed * 2.0f` as well.
template <typename V>
struct packed;

#define _MSL_PACKED_COMMON(N)                                            \
  using value_type = T;                                                  \
  packed() = default;                                                    \
  template <typename U>                                                  \
  METAL_FUNC explicit constexpr packed(vec<U, N> o) : packed(vec<T, N>(o)) {} \
  METAL_FUNC constexpr T operator[](long i) const { return (&x)[i]; }    \
  METAL_FUNC constexpr T& operator[](long i) { return (&x)[i]; }         \
  METAL_FUNC packed& operator+=(vec<T, N> o) { return *this = vec<T, N>(*this) + o; } \
  METAL_FUNC packed& operator-=(vec<T, N> o) { return *this = vec<T, N>(*this) - o; } \
  METAL_FUNC packed& operator*=(vec<T, N> o) { return *this = vec<T, N>(*this) * o; } \
  METAL_FUNC packed& operator/=(vec<T, N> o) { return *this = vec<T, N>(*this) / o; } \
  template <typename U>                                                  \
  METAL_FUNC explicit constexpr operator vec<U, N>() const {             \
    return vec<U, N>(vec<T, N>(*this));                                  \
  }
#define _MSL_PACKED_SWIZZLE(n, word, colour)                                             \
  METAL_FUNC vec<T, n> __get_##word() const { return __full().word; }                    \
  METAL_FUNC void __put_##word(vec<T, n> s) {                                            \
    auto full = __full();                                                                \
    full.word = s;                                                                       \
    *this = full;                                                                        \
  }                                                                                      \
  __declspec(property(get = __get_##word, put = __put_##word)) vec<T, n> word;           \
  __declspec(property(get = __get_##word, put = __put_##word)) vec<T, n> colour;
#define _MSL_PACKED_SWIZZLE2(word, colour) _MSL_PACKED_SWIZZLE(2, word, colour)
#define _MSL_PACKED_SWIZZLE3(word, colour) _MSL_PACKED_SWIZZLE(3, word, colour)
#define _MSL_PACKED_SWIZZLE4(word, colour) _MSL_PACKED_SWIZZLE(4, word, colour)
#define _MSL_COLOUR(word, colour)                                        \
  METAL_FUNC constexpr T __get_##word() const { return word; }           \
  METAL_FUNC constexpr void __put_##word(T s) { word = s; }              \
  __declspec(property(get = __get_##word, put = __put_##word)) T colour;

template <typename T>
struct packed<vec<T, 2>> {
  T x, y;
  _MSL_PACKED_COMMON(2)
  METAL_FUNC constexpr packed(T a) : x(a), y(a) {}
  METAL_FUNC constexpr packed(T a, T b) : x(a), y(b) {}
  METAL_FUNC constexpr packed(vec<T, 2> o) : x(o.x), y(o.y) {}
  METAL_FUNC constexpr operator vec<T, 2>() const { return vec<T, 2>(x, y); }
  METAL_FUNC constexpr vec<T, 2> __full() const { return vec<T, 2>(x, y); }
  _MSL_COLOUR(x, r)
  _MSL_COLOUR(y, g)
  _MSL_W2_2(_MSL_PACKED_SWIZZLE2, , )
  _MSL_W2_3(_MSL_PACKED_SWIZZLE3, , )
  _MSL_W2_4(_MSL_PACKED_SWIZZLE4, , )
};
template <typename T>
struct packed<vec<T, 3>> {
  T x, y, z;
  _MSL_PACKED_COMMON(3)
  METAL_FUNC constexpr packed(T a) : x(a), y(a), z(a) {}
  METAL_FUNC constexpr packed(T a, T b, T c) : x(a), y(b), z(c) {}
  METAL_FUNC constexpr packed(vec<T, 2> a, T b) : x(a.x), y(a.y), z(b) {}
  METAL_FUNC constexpr packed(T a, vec<T, 2> b) : x(a), y(b.x), z(b.y) {}
  METAL_FUNC constexpr packed(vec<T, 3> o) : x(o.x), y(o.y), z(o.z) {}
  METAL_FUNC constexpr operator vec<T, 3>() const { return vec<T, 3>(x, y, z); }
  METAL_FUNC constexpr vec<T, 3> __full() const { return vec<T, 3>(x, y, z); }
  _MSL_COLOUR(x, r)
  _MSL_COLOUR(y, g)
  _MSL_COLOUR(z, b)
  _MSL_W3_2(_MSL_PACKED_SWIZZLE2, , )
  _MSL_W3_3(_MSL_PACKED_SWIZZLE3, , )
};
template <typename T>
struct packed<vec<T, 4>> {
  T x, y, z, w;
  _MSL_PACKED_COMMON(4)
  METAL_FUNC constexpr packed(T a) : x(a), y(a), z(a), w(a) {}
  METAL_FUNC constexpr packed(T a, T b, T c, T d) : x(a), y(b), z(c), w(d) {}
  METAL_FUNC constexpr packed(vec<T, 3> a, T b) : x(a.x), y(a.y), z(a.z), w(b) {}
  METAL_FUNC constexpr packed(T a, vec<T, 3> b) : x(a), y(b.x), z(b.y), w(b.z) {}
  METAL_FUNC constexpr packed(vec<T, 2> a, vec<T, 2> b) : x(a.x), y(a.y), z(b.x), w(b.y) {}
  METAL_FUNC constexpr packed(vec<T, 4> o) : x(o.x), y(o.y), z(o.z), w(o.w) {}
  METAL_FUNC constexpr operator vec<T, 4>() const { return vec<T, 4>(x, y, z, w); }
  METAL_FUNC constexpr vec<T, 4> __full() const { return vec<T, 4>(x, y, z, w); }
  _MSL_COLOUR(x, r)
  _MSL_COLOUR(y, g)
  _MSL_COLOUR(z, b)
  _MSL_COLOUR(w, a)
  _MSL_W4_2(_MSL_PACKED_SWIZZLE2, , )
  _MSL_W4_3(_MSL_PACKED_SWIZZLE3, , )
};
} // namespace __msl

template <typename T, int N>
using packed_vec = __msl::packed<vec<T, N>>;

#define _MSL_PACKED_NAMES(T)                                 \
  using packed_##T##2 = packed_vec<T, 2>;                    \
  using packed_##T##3 = packed_vec<T, 3>;                    \
  using packed_##T##4 = packed_vec<T, 4>;                    \
  static_assert(sizeof(packed_##T##3) == 3 * sizeof(T), ""); \
  static_assert(alignof(packed_##T##4) == alignof(T), "");
_MSL_FOR_SCALARS(_MSL_PACKED_NAMES)
#undef _MSL_PACKED_NAMES
} // namespace metal

#define _MSL_PACKED_NAMES(T) \
  using metal::packed_##T##2; using metal::packed_##T##3; using metal::packed_##T##4;
_MSL_FOR_SCALARS(_MSL_PACKED_NAMES)
#undef _MSL_PACKED_NAMES
