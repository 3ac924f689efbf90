// Integer functions, for scalars and vectors.
#pragma once

#include "metal_math_more.h"

// Lifts a scalar function to vectors, lane by lane.
#define _MSL_LIFT1(f)                                            \
  template <typename T, int N, typename = __msl::if_integer<T>>  \
  METAL_FUNC constexpr vec<T, N> f(vec<T, N> x) {                \
    vec<T, N> r(T(0));                                           \
    for (int i = 0; i < N; ++i)                                  \
      r.v[i] = f(T(x.v[i]));                                     \
    return r;                                                    \
  }
#define _MSL_LIFT2(f)                                            \
  template <typename T, int N, typename = __msl::if_integer<T>>  \
  METAL_FUNC constexpr vec<T, N> f(vec<T, N> x, vec<T, N> y) {   \
    vec<T, N> r(T(0));                                           \
    for (int i = 0; i < N; ++i)                                  \
      r.v[i] = f(T(x.v[i]), T(y.v[i]));                          \
    return r;                                                    \
  }
#define _MSL_LIFT3(f)                                            \
  template <typename T, int N, typename = __msl::if_integer<T>>  \
  METAL_FUNC constexpr vec<T, N> f(vec<T, N> x, vec<T, N> y, vec<T, N> z) { \
    vec<T, N> r(T(0));                                           \
    for (int i = 0; i < N; ++i)                                  \
      r.v[i] = f(T(x.v[i]), T(y.v[i]), T(z.v[i]));               \
    return r;                                                    \
  }

namespace metal {
namespace __msl {
template <typename T>
using unsigned_of = __make_unsigned(T);
template <typename T>
inline constexpr int bit_count = int(sizeof(T) * 8);
// Clang's builtins promote the narrow types to int, whose range is not what saturates.
template <typename T>
METAL_FUNC constexpr T saturated(int x) {
  constexpr int most = __is_signed(T) ? (1 << (bit_count<T> - 1)) - 1 : (1 << bit_count<T>) - 1;
  constexpr int least = __is_signed(T) ? -most - 1 : 0;
  return T(x < least ? least : x > most ? most : x);
}
} // namespace __msl

template <typename T, typename = __msl::if_scalar_t<T>>
METAL_FUNC constexpr T abs(T x) {
  if constexpr (__msl::is_float<T>)
    return fabs(x);
  else if constexpr (__is_signed(T))
    return x < 0 ? T(__msl::unsigned_of<T>(0) - __msl::unsigned_of<T>(x)) : x;
  else
    return x;
}
template <typename T, int N>
METAL_FUNC constexpr vec<T, N> abs(vec<T, N> x) {
  if constexpr (__msl::is_float<T>)
    return fabs(x);
  else if constexpr (__is_signed(T))
    return __msl::pack<T, N>(__builtin_elementwise_abs(x.v));
  else
    return x;
}
// The magnitude of the difference, without overflow; the result is unsigned.
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr __msl::unsigned_of<T> absdiff(T x, T y) {
  using U = __msl::unsigned_of<T>;
  return x > y ? U(U(x) - U(y)) : U(U(y) - U(x));
}
template <typename T, int N, typename = __msl::if_integer<T>>
METAL_FUNC constexpr vec<make_unsigned_t<T>, N> absdiff(vec<T, N> x, vec<T, N> y) {
  vec<make_unsigned_t<T>, N> r(0);
  for (int i = 0; i < N; ++i)
    r.v[i] = absdiff(T(x.v[i]), T(y.v[i]));
  return r;
}
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T addsat(T x, T y) {
  if constexpr (sizeof(T) < 4)
    return __msl::saturated<T>(int(x) + int(y));
  else
    return __builtin_elementwise_add_sat(x, y);
}
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T subsat(T x, T y) {
  if constexpr (sizeof(T) < 4)
    return __msl::saturated<T>(int(x) - int(y));
  else
    return __builtin_elementwise_sub_sat(x, y);
}
// (x + y) >> 1 and (x + y + 1) >> 1 without overflow in between.
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T hadd(T x, T y) {
  return T((x & y) + ((x ^ y) >> 1));
}
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T rhadd(T x, T y) {
  return T((x | y) - ((x ^ y) >> 1));
}
_MSL_LIFT2(addsat)
_MSL_LIFT2(subsat)
_MSL_LIFT2(hadd)
_MSL_LIFT2(rhadd)

// The high half of the full product.
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T mulhi(T x, T y) {
  if constexpr (sizeof(T) < 8) {
    using W = conditional_t<__is_signed(T), long, ulong>;
    return T((W(x) * W(y)) >> __msl::bit_count<T>);
  } else {
    using U = ulong;
    U a = U(x), b = U(y);
    U al = a & 0xffffffffu, ah = a >> 32, bl = b & 0xffffffffu, bh = b >> 32;
    U low = al * bl, m1 = ah * bl + (low >> 32), m2 = al * bh + (m1 & 0xffffffffu);
    U high = ah * bh + (m1 >> 32) + (m2 >> 32);
    if constexpr (__is_signed(T))
      high -= (x < 0 ? b : 0) + (y < 0 ? a : 0);
    return T(high);
  }
}
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T madhi(T x, T y, T z) {
  return T(__msl::unsigned_of<T>(mulhi(x, y)) + __msl::unsigned_of<T>(z));
}
// Saturating x * y + z.
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T madsat(T x, T y, T z) {
  T low = T(__msl::unsigned_of<T>(x) * __msl::unsigned_of<T>(y)), high = mulhi(x, y);
  if constexpr (__is_signed(T)) {
    constexpr T most = T(__msl::unsigned_of<T>(~__msl::unsigned_of<T>(0)) >> 1);
    constexpr T least = T(-most - 1);
    T sum = T(__msl::unsigned_of<T>(low) + __msl::unsigned_of<T>(z));
    // The 2n-bit sum is (high + carry) : sum, where z extends its sign into the high half.
    bool carry = __msl::unsigned_of<T>(sum) < __msl::unsigned_of<T>(low);
    T top = T(high + (z < 0 ? -1 : 0) + (carry ? 1 : 0));
    return top == (sum < 0 ? T(-1) : T(0)) ? sum : (top < 0 ? least : most);
  } else {
    return high != 0 ? T(~T(0)) : addsat(low, z);
  }
}
METAL_FUNC constexpr int mul24(int x, int y) { return int(uint(x << 8 >> 8) * uint(y << 8 >> 8)); }
METAL_FUNC constexpr uint mul24(uint x, uint y) { return (x & 0xffffffu) * (y & 0xffffffu); }
METAL_FUNC constexpr int mad24(int x, int y, int z) { return int(uint(mul24(x, y)) + uint(z)); }
METAL_FUNC constexpr uint mad24(uint x, uint y, uint z) { return mul24(x, y) + z; }
_MSL_LIFT2(mulhi)
_MSL_LIFT3(madhi)
_MSL_LIFT3(madsat)
_MSL_LIFT2(mul24)
_MSL_LIFT3(mad24)

// Bit counts; of zero, clz and ctz give the width of the type.
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T clz(T x) {
  return T(__builtin_clzg(__msl::unsigned_of<T>(x), __msl::bit_count<T>));
}
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T ctz(T x) {
  return T(__builtin_ctzg(__msl::unsigned_of<T>(x), __msl::bit_count<T>));
}
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T popcount(T x) {
  return T(__builtin_popcountg(__msl::unsigned_of<T>(x)));
}
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T reverse_bits(T x) {
  if constexpr (sizeof(T) == 1)
    return T(__builtin_bitreverse8(x));
  else if constexpr (sizeof(T) == 2)
    return T(__builtin_bitreverse16(x));
  else if constexpr (sizeof(T) == 4)
    return T(__builtin_bitreverse32(x));
  else
    return T(__builtin_bitreverse64(x));
}
// Rotates left; the count is taken modulo the width.
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T rotate(T x, type_identity_t<T> count) {
  using U = __msl::unsigned_of<T>;
  constexpr U top = __msl::bit_count<T> - 1;
  U n = U(count) & top;
  return T(U(U(x) << n) | U(U(x) >> (U(0 - n) & top)));
}
_MSL_LIFT1(clz)
_MSL_LIFT1(ctz)
_MSL_LIFT1(popcount)
_MSL_LIFT1(reverse_bits)
_MSL_LIFT2(rotate)

// `bits` bits of x from `offset` upward, sign-extended for signed types; 0 for no bits.
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T extract_bits(T x, uint offset, uint bits) {
  using U = __msl::unsigned_of<T>;
  constexpr uint width = __msl::bit_count<T>;
  if (bits == 0 || offset >= width)
    return T(0);
  uint unused = bits + offset >= width ? 0 : width - bits - offset;
  return T(T(U(U(x) << unused)) >> (unused + offset));
}
// x with `bits` bits from `offset` upward replaced by the low bits of y.
template <typename T, typename = __msl::if_integer<T>>
METAL_FUNC constexpr T insert_bits(T x, T y, uint offset, uint bits) {
  using U = __msl::unsigned_of<T>;
  constexpr uint width = __msl::bit_count<T>;
  if (bits == 0 || offset >= width)
    return x;
  U low = bits >= width ? U(~U(0)) : U(U(U(1) << bits) - 1);
  U mask = U(low << offset);
  return T((U(x) & U(~mask)) | (U(U(y) << offset) & mask));
}
template <typename T, int N, typename = __msl::if_integer<T>>
METAL_FUNC constexpr vec<T, N> extract_bits(vec<T, N> x, uint offset, uint bits) {
  vec<T, N> r(T(0));
  for (int i = 0; i < N; ++i)
    r.v[i] = extract_bits(T(x.v[i]), offset, bits);
  return r;
}
template <typename T, int N, typename = __msl::if_integer<T>>
METAL_FUNC constexpr vec<T, N> insert_bits(vec<T, N> x, vec<T, N> y, uint offset, uint bits) {
  vec<T, N> r(T(0));
  for (int i = 0; i < N; ++i)
    r.v[i] = insert_bits(T(x.v[i]), T(y.v[i]), offset, bits);
  return r;
}
} // namespace metal
