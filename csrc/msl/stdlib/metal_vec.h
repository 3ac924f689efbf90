// metal::vec<T, N>: a class over Clang's vector type, with MSL's constructors, swizzles and operators.
//
// A swizzle is a property: reading calls a getter, writing (also `v.xy += w`) a setter on one shuffle.
// `this` is generic, so the same members serve vectors in device, threadgroup and constant memory.
#pragma once

#include "metal_type_traits.h"

namespace metal {
namespace __msl {
struct raw_tag {};
// Booleans take a byte each in memory, as in MSL; Clang's own boolean vectors would be bit-packed.
template <typename T>
struct lane {
  using type = T;
};
template <>
struct lane<bool> {
  using type = uchar;
};
template <typename T>
using lane_t = typename lane<T>::type;
template <typename T, int N>
struct raw_of {};
// Spelled out for each type: Clang 19 crashes on a vector of a dependent alias.
#define _MSL_RAW_OF(T, N)                                       \
  template <>                                                  \
  struct raw_of<T, N> {                                        \
    typedef lane_t<T> type __attribute__((ext_vector_type(N))); \
  };
#define _MSL_RAW(T) _MSL_RAW_OF(T, 2) _MSL_RAW_OF(T, 3) _MSL_RAW_OF(T, 4)
_MSL_FOR_SCALARS(_MSL_RAW)
#undef _MSL_RAW
#undef _MSL_RAW_OF
// The vector type that air.* functions take.
template <typename T, int N>
using raw = typename raw_of<T, N>::type;
template <int N>
using mask = raw<uchar, N>;
} // namespace __msl

// Prefix lists p, q grow by one letter per level: all words of xyzw with their rgba spelling.
#define _MSL_W2_1(M, p, q) M(p##x, q##r) M(p##y, q##g)
#define _MSL_W2_2(M, p, q) _MSL_W2_1(M, p##x, q##r) _MSL_W2_1(M, p##y, q##g)
#define _MSL_W2_3(M, p, q) _MSL_W2_2(M, p##x, q##r) _MSL_W2_2(M, p##y, q##g)
#define _MSL_W2_4(M, p, q) _MSL_W2_3(M, p##x, q##r) _MSL_W2_3(M, p##y, q##g)
#define _MSL_W3_1(M, p, q) _MSL_W2_1(M, p, q) M(p##z, q##b)
#define _MSL_W3_2(M, p, q) \
  _MSL_W3_1(M, p##x, q##r) _MSL_W3_1(M, p##y, q##g) _MSL_W3_1(M, p##z, q##b)
#define _MSL_W3_3(M, p, q) \
  _MSL_W3_2(M, p##x, q##r) _MSL_W3_2(M, p##y, q##g) _MSL_W3_2(M, p##z, q##b)
#define _MSL_W3_4(M, p, q) \
  _MSL_W3_3(M, p##x, q##r) _MSL_W3_3(M, p##y, q##g) _MSL_W3_3(M, p##z, q##b)
#define _MSL_W4_1(M, p, q) _MSL_W3_1(M, p, q) M(p##w, q##a)
#define _MSL_W4_2(M, p, q)                                                             \
  _MSL_W4_1(M, p##x, q##r) _MSL_W4_1(M, p##y, q##g) _MSL_W4_1(M, p##z, q##b)           \
  _MSL_W4_1(M, p##w, q##a)
#define _MSL_W4_3(M, p, q)                                                             \
  _MSL_W4_2(M, p##x, q##r) _MSL_W4_2(M, p##y, q##g) _MSL_W4_2(M, p##z, q##b)           \
  _MSL_W4_2(M, p##w, q##a)
#define _MSL_W4_4(M, p, q)                                                             \
  _MSL_W4_3(M, p##x, q##r) _MSL_W4_3(M, p##y, q##g) _MSL_W4_3(M, p##z, q##b)           \
  _MSL_W4_3(M, p##w, q##a)

#define _MSL_FN METAL_FUNC constexpr

#define _MSL_COMPONENT(word, colour, index)                                              \
  _MSL_FN T __get_##word() const {                                                       \
    return __builtin_is_constant_evaluated() ? T(__whole().__lane(index)) : T(__whole().v.word); \
  }                                                                                      \
  _MSL_FN void __put_##word(T s) { __whole().v.word = s; }                               \
  __declspec(property(get = __get_##word, put = __put_##word)) T word;                   \
  __declspec(property(get = __get_##word, put = __put_##word)) T colour;
#define _MSL_SWIZZLE(n, word, colour)                                                    \
  _MSL_FN vec<T, n> __get_##word() const {                                               \
    return vec<T, n>(__whole().v.word, __msl::raw_tag{});                                \
  }                                                                                      \
  _MSL_FN void __put_##word(vec<T, n> s) { __whole().v.word = s.v; }                     \
  __declspec(property(get = __get_##word, put = __put_##word)) vec<T, n> word;           \
  __declspec(property(get = __get_##word, put = __put_##word)) vec<T, n> colour;
#define _MSL_SWIZZLE2(word, colour) _MSL_SWIZZLE(2, word, colour)
#define _MSL_SWIZZLE3(word, colour) _MSL_SWIZZLE(3, word, colour)
#define _MSL_SWIZZLE4(word, colour) _MSL_SWIZZLE(4, word, colour)

#define _MSL_ARITHMETIC(op)                                                              \
  friend _MSL_FN vec operator op(vec a, vec b) {                                         \
    return vec(raw(a.v op b.v), __msl::raw_tag{});                                       \
  }                                                                                      \
  _MSL_FN vec& operator op##=(vec b) {                                                   \
    v = v op b.v;                                                                        \
    return *this;                                                                        \
  }
// A vector comparison gives 0 or -1 in lanes as wide as the operands.
#define _MSL_COMPARISON(op)                                                              \
  friend _MSL_FN boolean operator op(vec a, vec b) {                                     \
    return boolean(__builtin_convertvector(a.v op b.v, mask) & one, __msl::raw_tag{});   \
  }
#define _MSL_LOGICAL(op, bit)                                                            \
  friend _MSL_FN boolean operator op(vec a, vec b) {                                     \
    return boolean(a.__nonzero() bit b.__nonzero(), __msl::raw_tag{});                   \
  }

// What vectors of every length have.
#define _MSL_VEC_COMMON(N)                                                               \
  using value_type = T;                                                                  \
  using raw = __msl::raw<T, N>;                                                          \
  using mask = __msl::mask<N>;                                                           \
  using boolean = vec<bool, N>;                                                          \
  static constexpr uchar one = 1;                                                        \
  raw v;                                                                                 \
  vec() = default;                                                                       \
  _MSL_FN vec(T s) : v(raw(__msl::lane_t<T>(s))) {}                                      \
  _MSL_FN vec(raw r, __msl::raw_tag) : v(r) {}                                           \
  template <typename U>                                                                  \
  _MSL_FN explicit vec(vec<U, N> o) : v(o.template __to<T>()) {}                         \
  template <typename U>                                                                  \
  _MSL_FN __msl::raw<U, N> __to() const {                                                \
    if constexpr (__is_same(U, bool))                                                    \
      return __nonzero();                                                                \
    else                                                                                 \
      return __builtin_convertvector(v, __msl::raw<U, N>);                               \
  }                                                                                      \
  _MSL_FN mask __nonzero() const {                                                       \
    return __builtin_convertvector(v != raw(__msl::lane_t<T>(0)), mask) & one;           \
  }                                                                                      \
  struct alignas(raw) __lanes {                                                          \
    __msl::lane_t<T> e[N];                                                               \
  };                                                                                     \
  _MSL_FN __msl::lane_t<T> __lane(int i) const { return __builtin_bit_cast(__lanes, v).e[i]; } \
  _MSL_FN T operator[](long i) const {                                                   \
    return __builtin_is_constant_evaluated() ? T(__lane(int(i))) : T(v[i]);              \
  }                                                                                      \
  METAL_FUNC T& operator[](long i) { return reinterpret_cast<T*>(&v)[i]; }               \
  _MSL_ARITHMETIC(+)                                                                     \
  _MSL_ARITHMETIC(-)                                                                     \
  _MSL_ARITHMETIC(*)                                                                     \
  _MSL_ARITHMETIC(/)                                                                     \
  _MSL_ARITHMETIC(%)                                                                     \
  _MSL_ARITHMETIC(&)                                                                     \
  _MSL_ARITHMETIC(|)                                                                     \
  _MSL_ARITHMETIC(^)                                                                     \
  _MSL_ARITHMETIC(<<)                                                                    \
  _MSL_ARITHMETIC(>>)                                                                    \
  _MSL_COMPARISON(==)                                                                    \
  _MSL_COMPARISON(!=)                                                                    \
  _MSL_COMPARISON(<)                                                                     \
  _MSL_COMPARISON(<=)                                                                    \
  _MSL_COMPARISON(>)                                                                     \
  _MSL_COMPARISON(>=)                                                                    \
  _MSL_LOGICAL(&&, &)                                                                    \
  _MSL_LOGICAL(||, |)                                                                    \
  friend _MSL_FN boolean operator!(vec a) {                                              \
    return boolean(a.__nonzero() ^ one, __msl::raw_tag{});                               \
  }                                                                                      \
  friend _MSL_FN vec operator+(vec a) { return a; }                                      \
  friend _MSL_FN vec operator-(vec a) { return vec(-a.v, __msl::raw_tag{}); }            \
  friend _MSL_FN vec operator~(vec a) { return vec(~a.v, __msl::raw_tag{}); }            \
  _MSL_FN vec& operator++() { return *this += vec(T(1)); }                               \
  _MSL_FN vec& operator--() { return *this -= vec(T(1)); }                               \
  _MSL_FN vec operator++(int) {                                                          \
    vec old = *this;                                                                     \
    *this += vec(T(1));                                                                  \
    return old;                                                                          \
  }                                                                                      \
  _MSL_FN vec operator--(int) {                                                          \
    vec old = *this;                                                                     \
    *this -= vec(T(1));                                                                  \
    return old;                                                                          \
  }

namespace __msl {
// The components and swizzles of a vector, as an empty base of it. They are apart because Clang walks
// all members of a class for each constructor that it instantiates: with the hundreds of swizzles in
// the same class, the first vector expression of a kernel cost 8 ms.
#define _MSL_WHOLE(N)                                                                    \
  _MSL_FN const vec<T, N>& __whole() const { return *static_cast<const vec<T, N>*>(this); } \
  _MSL_FN vec<T, N>& __whole() { return *static_cast<vec<T, N>*>(this); }
template <typename T, int N>
struct components;
template <typename T>
struct components<T, 2> {
  _MSL_WHOLE(2)
  _MSL_COMPONENT(x, r, 0)
  _MSL_COMPONENT(y, g, 1)
  _MSL_W2_2(_MSL_SWIZZLE2, , )
  _MSL_W2_3(_MSL_SWIZZLE3, , )
  _MSL_W2_4(_MSL_SWIZZLE4, , )
};
template <typename T>
struct components<T, 3> {
  _MSL_WHOLE(3)
  _MSL_COMPONENT(x, r, 0)
  _MSL_COMPONENT(y, g, 1)
  _MSL_COMPONENT(z, b, 2)
  _MSL_W3_2(_MSL_SWIZZLE2, , )
  _MSL_W3_3(_MSL_SWIZZLE3, , )
  _MSL_W3_4(_MSL_SWIZZLE4, , )
};
template <typename T>
struct components<T, 4> {
  _MSL_WHOLE(4)
  _MSL_COMPONENT(x, r, 0)
  _MSL_COMPONENT(y, g, 1)
  _MSL_COMPONENT(z, b, 2)
  _MSL_COMPONENT(w, a, 3)
  _MSL_W4_2(_MSL_SWIZZLE2, , )
  _MSL_W4_3(_MSL_SWIZZLE3, , )
  _MSL_W4_4(_MSL_SWIZZLE4, , )
};
} // namespace __msl

template <typename T>
struct vec<T, 2> : __msl::components<T, 2> {
  _MSL_VEC_COMMON(2)
  _MSL_FN vec(T a, T b) : v{a, b} {}
};

template <typename T>
struct vec<T, 3> : __msl::components<T, 3> {
  _MSL_VEC_COMMON(3)
  _MSL_FN vec(T a, T b, T c) : v{a, b, c} {}
  _MSL_FN vec(vec<T, 2> a, T b) : v{a.x, a.y, b} {}
  _MSL_FN vec(T a, vec<T, 2> b) : v{a, b.x, b.y} {}
};

template <typename T>
struct vec<T, 4> : __msl::components<T, 4> {
  _MSL_VEC_COMMON(4)
  _MSL_FN vec(T a, T b, T c, T d) : v{a, b, c, d} {}
  _MSL_FN vec(vec<T, 2> a, T b, T c) : v{a.x, a.y, b, c} {}
  _MSL_FN vec(T a, vec<T, 2> b, T c) : v{a, b.x, b.y, c} {}
  _MSL_FN vec(T a, T b, vec<T, 2> c) : v{a, b, c.x, c.y} {}
  _MSL_FN vec(vec<T, 2> a, vec<T, 2> b) : v{a.x, a.y, b.x, b.y} {}
  _MSL_FN vec(vec<T, 3> a, T b) : v{a.x, a.y, a.z, b} {}
  _MSL_FN vec(T a, vec<T, 3> b) : v{a, b.x, b.y, b.z} {}
  // Without these, a scalar beside a pair would splat into the second pair.
  vec(vec<T, 2>, T) = delete;
  vec(T, vec<T, 2>) = delete;
  vec(T, T) = delete;
};

// Complete here, so that the precompiled header holds them complete: with the implicit members
// defined too, since defining one walks all members of the bases.
#define _MSL_TOUCH(V)        \
  inline void touch(V a) {   \
    V b, c(a), d((V&&)a);    \
    b = c;                   \
    c = (V&&)d;              \
  }
#define _MSL_VECTOR_NAMES(T)                                                         \
  using T##2 = vec<T, 2>;                                                            \
  using T##3 = vec<T, 3>;                                                            \
  using T##4 = vec<T, 4>;                                                            \
  static_assert(sizeof(T##2) == 2 * sizeof(T), "");                                  \
  static_assert(sizeof(T##3) == 4 * sizeof(T) && alignof(T##3) == sizeof(T##3), ""); \
  static_assert(sizeof(T##4) == 4 * sizeof(T) && alignof(T##4) == sizeof(T##4), ""); \
  namespace __msl {                                                                  \
  _MSL_TOUCH(T##2)                                                                   \
  _MSL_TOUCH(T##3)                                                                   \
  _MSL_TOUCH(T##4)                                                                   \
  }
_MSL_FOR_SCALARS(_MSL_VECTOR_NAMES)
#undef _MSL_VECTOR_NAMES
} // namespace metal

#define _MSL_VECTOR_NAMES(T) using metal::T##2; using metal::T##3; using metal::T##4;
_MSL_FOR_SCALARS(_MSL_VECTOR_NAMES)
#undef _MSL_VECTOR_NAMES

static_assert(__is_trivially_copyable(metal::float3) && __is_trivial(metal::float3), "");
