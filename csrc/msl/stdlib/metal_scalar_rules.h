// Which argument mixes the scalar functions accept, and what they compute in.
//
// Apple declares one plain overload per type. A call with one type only resolves to it. For mixed
// calls (`max(x, 0)`, `clamp(h, 0.0f, 1.0f)`, `min(a, 5u)`) the usual arithmetic conversions decide.
#pragma once

#include "metal_vec.h"

namespace metal {
namespace __msl {
template <typename T>
inline constexpr bool is_bfloat = false;
template <>
inline constexpr bool is_bfloat<bfloat> = true;
template <typename T>
inline constexpr bool is_float = false;
template <>
inline constexpr bool is_float<half> = true;
template <>
inline constexpr bool is_float<bfloat> = true;
template <>
inline constexpr bool is_float<float> = true;

// Two different 16-bit formats have no common type in C++; float holds both.
template <typename A, typename B>
struct pair_type {
  using type = decltype(A() + B());
};
template <typename T>
struct pair_type<T, T> {
  using type = T;
};
template <>
struct pair_type<half, bfloat> {
  using type = float;
};
template <>
struct pair_type<bfloat, half> {
  using type = float;
};

template <bool Valid, typename... T>
struct mixed_if {};
template <typename A, typename B>
struct mixed_if<true, A, B> {
  using type = typename pair_type<A, B>::type;
};
template <typename A, typename B, typename C>
struct mixed_if<true, A, B, C> {
  using type = typename pair_type<typename pair_type<A, B>::type, C>::type;
};
// Scalars of any arithmetic types.
template <typename... T>
using common_scalar = typename mixed_if<(__is_arithmetic(T) && ...), T...>::type;
// Scalars, at least one of them floating, not all the same: those have overloads of their own.
template <typename A, typename... T>
using common_float = typename mixed_if<(__is_arithmetic(A) && ... && __is_arithmetic(T)) &&
                                           (is_float<A> || ... || is_float<T>) &&
                                           !(__is_same(A, T) && ...),
                                       A, T...>::type;

template <bool, typename T>
struct type_if {};
template <typename T>
struct type_if<true, T> {
  using type = T;
};
template <typename T>
using if_integer = typename type_if<__is_integral(T) && !__is_same(T, bool), T>::type;
template <typename T>
using if_float = typename type_if<is_float<T>, T>::type;
template <typename T>
using if_bfloat = typename type_if<is_bfloat<T>, T>::type;

template <typename T, int N>
METAL_FUNC constexpr vec<T, N> pack(raw<T, N> r) {
  return vec<T, N>(r, raw_tag{});
}
// bfloat has no functions of its own in AIR: it is computed in float and rounded once.
template <int N>
METAL_FUNC raw<float, N> widen(raw<bfloat, N> r) {
  return __builtin_convertvector(r, raw<float, N>);
}
template <int N>
METAL_FUNC raw<bfloat, N> narrow(raw<float, N> r) {
  return __builtin_convertvector(r, raw<bfloat, N>);
}
} // namespace __msl
} // namespace metal
