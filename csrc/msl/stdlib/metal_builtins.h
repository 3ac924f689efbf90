// Names behind the library that real code calls directly: `__metal_exp(x, __METAL_MAYBE_FAST_MATH__)`.
#pragma once

#include "metal_geometric.h"
#include "metal_quadgroup.h"

#define __METAL_PRECISE_MATH__ 0
#define __METAL_FAST_MATH__ 1
#define __METAL_MAYBE_FAST_MATH__ 2

// The mode is a constant wherever these are called, so one of the three calls remains. Functions with
// one form are also called without a mode.
#define _MSL_MODED(f, arguments, ...)                                   \
  template <typename T>                                                 \
  METAL_FUNC T __metal_##f(__VA_ARGS__, int mode = __METAL_MAYBE_FAST_MATH__) { \
    return mode == __METAL_PRECISE_MATH__ ? metal::precise::f arguments \
           : mode == __METAL_FAST_MATH__  ? metal::fast::f arguments    \
                                          : metal::f arguments;         \
  }
#define _MSL_MODED1(f) _MSL_MODED(f, (x), T x)
#define _MSL_MODED2(f) _MSL_MODED(f, (x, y), T x, T y)
#define _MSL_MODED3(f) _MSL_MODED(f, (x, y, z), T x, T y, T z)
_MSL_MODED1(fabs) _MSL_MODED1(acos) _MSL_MODED1(acosh) _MSL_MODED1(asin) _MSL_MODED1(asinh)
_MSL_MODED1(atan) _MSL_MODED1(atanh) _MSL_MODED1(ceil) _MSL_MODED1(cos) _MSL_MODED1(cosh)
_MSL_MODED1(cospi) _MSL_MODED1(exp) _MSL_MODED1(exp2) _MSL_MODED1(exp10) _MSL_MODED1(floor)
_MSL_MODED1(fract) _MSL_MODED1(log) _MSL_MODED1(log2) _MSL_MODED1(log10) _MSL_MODED1(rint)
_MSL_MODED1(round) _MSL_MODED1(rsqrt) _MSL_MODED1(sin) _MSL_MODED1(sinh) _MSL_MODED1(sinpi)
_MSL_MODED1(sqrt) _MSL_MODED1(tan) _MSL_MODED1(tanh) _MSL_MODED1(tanpi) _MSL_MODED1(trunc)
_MSL_MODED2(atan2) _MSL_MODED2(divide) _MSL_MODED2(fmax) _MSL_MODED2(fmin) _MSL_MODED2(fmod)
_MSL_MODED2(pow) _MSL_MODED2(powr) _MSL_MODED2(nextafter) _MSL_MODED2(fdim) _MSL_MODED2(copysign)
_MSL_MODED3(fma) _MSL_MODED3(fmax3) _MSL_MODED3(fmin3) _MSL_MODED3(fmedian3) _MSL_MODED3(clamp)
#undef _MSL_MODED3
#undef _MSL_MODED2
#undef _MSL_MODED1
#undef _MSL_MODED

template <typename T>
METAL_FUNC T __metal_ldexp(T x, int e, int = 0) {
  return metal::ldexp(x, e);
}
template <typename T>
METAL_FUNC T __metal_frexp(T x, thread int* e, int = 0) {
  return metal::frexp(x, *e);
}

METAL_FUNC ushort __metal_get_simdgroup_size(ushort) { return metal::get_simdgroup_size(); }
METAL_FUNC ushort __metal_get_thread_index_in_simdgroup(ushort) {
  return metal::get_thread_index_in_simdgroup();
}

// The arguments decide which overload is meant, so one template serves each function.
#define _MSL_SIMD(f)                                                     \
  template <typename T, typename... A>                                   \
  METAL_FUNC METAL_CROSS_LANE T __metal_##f(T x, A... a) {               \
    return metal::f(x, a...);                                            \
  }
_MSL_SIMD(simd_sum) _MSL_SIMD(simd_product) _MSL_SIMD(simd_min) _MSL_SIMD(simd_max)
_MSL_SIMD(simd_prefix_inclusive_sum) _MSL_SIMD(simd_prefix_inclusive_product)
_MSL_SIMD(simd_prefix_exclusive_sum) _MSL_SIMD(simd_prefix_exclusive_product)
_MSL_SIMD(simd_broadcast) _MSL_SIMD(simd_broadcast_first) _MSL_SIMD(simd_shuffle)
_MSL_SIMD(simd_shuffle_up) _MSL_SIMD(simd_shuffle_down) _MSL_SIMD(simd_shuffle_xor)
_MSL_SIMD(simd_shuffle_rotate_up) _MSL_SIMD(simd_shuffle_rotate_down)
_MSL_SIMD(simd_shuffle_and_fill_up) _MSL_SIMD(simd_shuffle_and_fill_down) _MSL_SIMD(simd_and)
_MSL_SIMD(simd_or)
#undef _MSL_SIMD
// Called with float by code that is never run: any one overload will do.
METAL_FUNC METAL_CROSS_LANE uint __metal_simd_xor(uint x) { return metal::simd_xor(x); }
