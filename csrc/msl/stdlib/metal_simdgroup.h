// Functions across the threads of a simdgroup.
//
// Every declaration is convergent: what it computes depends on which threads arrive. Scalars are plain
// overloads, as Apple has them. bfloat travels through the shuffles as its bits, by templates, so that
// programs may define overloads of their own for it, as they do where Apple's library has none.
#pragma once

#include "metal_compute.h"
#include "metal_scalar_rules.h"

// Applies M(type, mangled type, raw namespace or not) to the types that cross-lane functions take.
#define _MSL_LANE_TYPES(M, f)                                                      \
  M(f, char, "s.", "i8") M(f, uchar, "u.", "i8") M(f, short, "s.", "i16")          \
  M(f, ushort, "u.", "i16") M(f, int, "s.", "i32") M(f, uint, "u.", "i32")         \
  M(f, half, "", "f16") M(f, float, "", "f32")
#define _MSL_LANE_INTEGERS(M, f)                                                   \
  M(f, char, "s.", "i8") M(f, uchar, "u.", "i8") M(f, short, "s.", "i16")          \
  M(f, ushort, "u.", "i16") M(f, int, "s.", "i32") M(f, uint, "u.", "i32")

// One value in, one value out: reductions and prefix operations.
#define _MSL_LANE1(f, T, sign, s)                                                  \
  METAL_CROSS_LANE T f(T) METAL_AIR(#f "." sign s);                                \
  namespace __raw {                                                                \
  METAL_CROSS_LANE __msl::raw<T, 2> f(__msl::raw<T, 2>) METAL_AIR(#f "." sign "v2" s); \
  METAL_CROSS_LANE __msl::raw<T, 3> f(__msl::raw<T, 3>) METAL_AIR(#f "." sign "v3" s); \
  METAL_CROSS_LANE __msl::raw<T, 4> f(__msl::raw<T, 4>) METAL_AIR(#f "." sign "v4" s); \
  }
#define _MSL_LANE1_FORWARD(f)                                                      \
  template <typename T, int N>                                                     \
  METAL_FUNC METAL_CROSS_LANE vec<T, N> f(vec<T, N> x) {                           \
    return __msl::pack<T, N>(__raw::f(x.v));                                       \
  }
#define _MSL_REDUCTION(f) _MSL_LANE_TYPES(_MSL_LANE1, f) _MSL_LANE1_FORWARD(f)
#define _MSL_BITWISE(f) _MSL_LANE_INTEGERS(_MSL_LANE1, f) _MSL_LANE1_FORWARD(f)

// A value and a lane, delta or mask.
#define _MSL_LANE_SHUFFLE(f, T, sign, s)                                           \
  METAL_CROSS_LANE T f(T, ushort) METAL_AIR(#f "." sign s);                        \
  namespace __raw {                                                                \
  METAL_CROSS_LANE __msl::raw<T, 2> f(__msl::raw<T, 2>, ushort) METAL_AIR(#f "." sign "v2" s); \
  METAL_CROSS_LANE __msl::raw<T, 3> f(__msl::raw<T, 3>, ushort) METAL_AIR(#f "." sign "v3" s); \
  METAL_CROSS_LANE __msl::raw<T, 4> f(__msl::raw<T, 4>, ushort) METAL_AIR(#f "." sign "v4" s); \
  }
#define _MSL_SHUFFLE(f)                                                            \
  _MSL_LANE_TYPES(_MSL_LANE_SHUFFLE, f)                                            \
  METAL_FUNC METAL_CROSS_LANE bool f(bool x, ushort lane) { return f(uchar(x), lane) != 0; } \
  template <typename T, typename = __msl::if_bfloat<T>>                            \
  METAL_FUNC METAL_CROSS_LANE T f(T x, ushort lane) {                              \
    return __builtin_bit_cast(T, f(__builtin_bit_cast(ushort, x), lane));          \
  }                                                                                \
  template <typename T, int N>                                                     \
  METAL_FUNC METAL_CROSS_LANE vec<T, N> f(vec<T, N> x, ushort lane) {              \
    if constexpr (__msl::is_bfloat<T>)                                             \
      return __msl::pack<T, N>(__builtin_bit_cast(                                 \
          __msl::raw<T, N>, __raw::f(__builtin_bit_cast(__msl::raw<ushort, N>, x.v), lane))); \
    else                                                                           \
      return __msl::pack<T, N>(__raw::f(x.v, lane));                               \
  }

// A value, what fills in from outside, a delta and the width (modulo) of the segments.
#define _MSL_LANE_FILL(f, T, sign, s)                                              \
  METAL_CROSS_LANE T f(T, T, ushort, ushort) METAL_AIR(#f "." sign s);             \
  METAL_FUNC METAL_CROSS_LANE T f(T x, T fill, ushort delta) { return f(x, fill, delta, _MSL_WIDTH); } \
  namespace __raw {                                                                \
  METAL_CROSS_LANE __msl::raw<T, 2> f(__msl::raw<T, 2>, __msl::raw<T, 2>, ushort, ushort) \
      METAL_AIR(#f "." sign "v2" s);                                               \
  METAL_CROSS_LANE __msl::raw<T, 3> f(__msl::raw<T, 3>, __msl::raw<T, 3>, ushort, ushort) \
      METAL_AIR(#f "." sign "v3" s);                                               \
  METAL_CROSS_LANE __msl::raw<T, 4> f(__msl::raw<T, 4>, __msl::raw<T, 4>, ushort, ushort) \
      METAL_AIR(#f "." sign "v4" s);                                               \
  }
#define _MSL_FILL(f)                                                               \
  _MSL_LANE_TYPES(_MSL_LANE_FILL, f)                                               \
  template <typename T, typename = __msl::if_bfloat<T>>                            \
  METAL_FUNC METAL_CROSS_LANE T f(T x, T fill, ushort delta, ushort width = _MSL_WIDTH) { \
    return __builtin_bit_cast(T, f(__builtin_bit_cast(ushort, x),                  \
                                   __builtin_bit_cast(ushort, fill), delta, width)); \
  }                                                                                \
  template <typename T, int N>                                                     \
  METAL_FUNC METAL_CROSS_LANE vec<T, N> f(vec<T, N> x, type_identity_t<vec<T, N>> fill, ushort delta, \
                                          ushort width = _MSL_WIDTH) {             \
    if constexpr (__msl::is_bfloat<T>)                                             \
      return __msl::pack<T, N>(__builtin_bit_cast(                                 \
          __msl::raw<T, N>,                                                        \
          __raw::f(__builtin_bit_cast(__msl::raw<ushort, N>, x.v),                 \
                   __builtin_bit_cast(__msl::raw<ushort, N>, fill.v), delta, width))); \
    else                                                                           \
      return __msl::pack<T, N>(__raw::f(x.v, fill.v, delta, width));               \
  }

// A value alone, but any bits: broadcast_first.
#define _MSL_FIRST(f)                                                              \
  _MSL_LANE_TYPES(_MSL_LANE1, f)                                                   \
  METAL_FUNC METAL_CROSS_LANE bool f(bool x) { return f(uchar(x)) != 0; }          \
  template <typename T, typename = __msl::if_bfloat<T>>                            \
  METAL_FUNC METAL_CROSS_LANE T f(T x) {                                           \
    return __builtin_bit_cast(T, f(__builtin_bit_cast(ushort, x)));                \
  }                                                                                \
  _MSL_LANE1_FORWARD(f)

namespace metal {
#define _MSL_WIDTH 32
_MSL_REDUCTION(simd_sum)
_MSL_REDUCTION(simd_product)
_MSL_REDUCTION(simd_min)
_MSL_REDUCTION(simd_max)
_MSL_REDUCTION(simd_prefix_inclusive_sum)
_MSL_REDUCTION(simd_prefix_inclusive_product)
_MSL_REDUCTION(simd_prefix_exclusive_sum)
_MSL_REDUCTION(simd_prefix_exclusive_product)
_MSL_BITWISE(simd_and)
_MSL_BITWISE(simd_or)
_MSL_BITWISE(simd_xor)
_MSL_SHUFFLE(simd_shuffle)
_MSL_SHUFFLE(simd_shuffle_up)
_MSL_SHUFFLE(simd_shuffle_down)
_MSL_SHUFFLE(simd_shuffle_xor)
_MSL_SHUFFLE(simd_shuffle_rotate_up)
_MSL_SHUFFLE(simd_shuffle_rotate_down)
_MSL_SHUFFLE(simd_broadcast)
_MSL_FIRST(simd_broadcast_first)
_MSL_FILL(simd_shuffle_and_fill_up)
_MSL_FILL(simd_shuffle_and_fill_down)
#undef _MSL_WIDTH

METAL_CROSS_LANE bool simd_any(bool) METAL_AIR("simd_any");
METAL_CROSS_LANE bool simd_all(bool) METAL_AIR("simd_all");
METAL_CROSS_LANE bool simd_is_first() METAL_AIR("simd_is_first");
METAL_CROSS_LANE bool simd_is_helper_thread() METAL_AIR("simd_is_helper_thread");

namespace __air {
METAL_CROSS_LANE ulong simd_ballot(bool) METAL_AIR("simd_ballot.i64");
METAL_CROSS_LANE ulong simd_active_threads_mask() METAL_AIR("simd_active_threads_mask.i64");
METAL_CONST ushort simdgroup_size() METAL_AIR("get_simdgroup_size.i16");
METAL_CONST ushort thread_index_in_simdgroup() METAL_AIR("get_thread_index_in_simdgroup.i16");
// Not one of Apple's. csrc/msl/lower.cpp makes it and the one above an argument of the kernel.
METAL_CONST ushort simdgroup_index_in_threadgroup() METAL_AIR("msl_simdgroup_index_in_threadgroup");
} // namespace __air

METAL_FUNC ushort get_simdgroup_size() { return __air::simdgroup_size(); }
METAL_FUNC ushort get_thread_index_in_simdgroup() { return __air::thread_index_in_simdgroup(); }

// One bit per thread of the simdgroup, the first thread lowest.
struct simd_vote {
  using vote_t = ulong;
  vote_t __bits;
  simd_vote() = default;
  METAL_FUNC explicit constexpr simd_vote(vote_t bits) : __bits(bits) {}
  METAL_FUNC explicit constexpr operator vote_t() const { return __bits; }
  METAL_FUNC constexpr bool any() const { return __bits != 0; }
  METAL_FUNC bool all() const {
    vote_t every = (vote_t(1) << __air::simdgroup_size()) - 1;
    return (__bits & every) == every;
  }
};
METAL_FUNC METAL_CROSS_LANE simd_vote simd_ballot(bool x) { return simd_vote(__air::simd_ballot(x)); }
METAL_FUNC METAL_CROSS_LANE simd_vote simd_active_threads_mask() {
  return simd_vote(__air::simd_active_threads_mask());
}
} // namespace metal
