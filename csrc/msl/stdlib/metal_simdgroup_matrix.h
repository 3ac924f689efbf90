// 8x8 matrices that the 32 threads of a simdgroup own together.
//
// A matrix is a <64 x T> value; each thread's own two elements are 0 and 1 of it.
#pragma once

#include "metal_compute.h"
#include "metal_scalar_rules.h"

namespace metal {
namespace __msl {
template <typename T>
struct tile_of;
template <>
struct tile_of<float> {
  typedef float type __attribute__((ext_vector_type(64)));
};
template <>
struct tile_of<half> {
  typedef half type __attribute__((ext_vector_type(64)));
};
template <>
struct tile_of<bfloat> {
  typedef bfloat type __attribute__((ext_vector_type(64)));
};
template <typename T>
using tile = typename tile_of<T>::type;
typedef long origin __attribute__((ext_vector_type(2)));
} // namespace __msl

namespace __air {
#define _MSL_TILE_MEMORY(T, s, space, p)                                                      \
  METAL_CROSS_LANE void tile_store(__msl::tile<T>, space T*, ulong, __msl::origin, bool)      \
      METAL_AIR("simdgroup_matrix_8x8_store.v64" s "." p s);                                  \
  METAL_CROSS_LANE __msl::tile<T> tile_load(const space T*, ulong, __msl::origin, bool)       \
      METAL_AIR("simdgroup_matrix_8x8_load.v64" s "." p s);
#define _MSL_TILE(T, s)                                                                       \
  METAL_CROSS_LANE __msl::tile<T> tile_filled(T) METAL_AIR("simdgroup_matrix_8x8_init_filled.v64" s "." s); \
  METAL_CROSS_LANE __msl::tile<T> tile_diagonal(T) METAL_AIR("simdgroup_matrix_8x8_init_diag.v64" s "." s); \
  _MSL_TILE_MEMORY(T, s, device, "p1")                                                        \
  _MSL_TILE_MEMORY(T, s, threadgroup, "p3")
_MSL_TILE(float, "f32")
_MSL_TILE(half, "f16")
_MSL_TILE(bfloat, "bf16")
#undef _MSL_TILE
#undef _MSL_TILE_MEMORY
#define _MSL_PRODUCT(D, d, A, a, B, b)                                                        \
  METAL_CROSS_LANE __msl::tile<D> tile_multiply_accumulate(__msl::tile<A>, __msl::tile<B>, __msl::tile<D>) \
      METAL_AIR("simdgroup_matrix_8x8_multiply_accumulate.v64" d ".v64" a ".v64" b ".v64" d);
#define _MSL_PRODUCTS(D, d)                                                                   \
  _MSL_PRODUCT(D, d, float, "f32", float, "f32") _MSL_PRODUCT(D, d, float, "f32", half, "f16") \
  _MSL_PRODUCT(D, d, float, "f32", bfloat, "bf16") _MSL_PRODUCT(D, d, half, "f16", float, "f32") \
  _MSL_PRODUCT(D, d, half, "f16", half, "f16") _MSL_PRODUCT(D, d, half, "f16", bfloat, "bf16") \
  _MSL_PRODUCT(D, d, bfloat, "bf16", float, "f32") _MSL_PRODUCT(D, d, bfloat, "bf16", half, "f16") \
  _MSL_PRODUCT(D, d, bfloat, "bf16", bfloat, "bf16")
_MSL_PRODUCTS(float, "f32")
_MSL_PRODUCTS(half, "f16")
_MSL_PRODUCTS(bfloat, "bf16")
#undef _MSL_PRODUCTS
#undef _MSL_PRODUCT
} // namespace __air

template <typename T, int Cols, int Rows>
struct simdgroup_matrix;

template <typename T>
struct simdgroup_matrix<T, 8, 8> {
  using storage_type = vec<T, 2>;
  __msl::tile<T> __storage;
  simdgroup_matrix() = default;
  // The diagonal matrix with `diagonal` on it.
  METAL_FUNC METAL_CROSS_LANE explicit simdgroup_matrix(T diagonal)
      : __storage(__air::tile_diagonal(diagonal)) {}
  METAL_FUNC simdgroup_matrix(__msl::tile<T> tile, __msl::raw_tag) : __storage(tile) {}
  METAL_FUNC thread vec<T, 2>& thread_elements() {
    return reinterpret_cast<thread vec<T, 2>&>(__storage);
  }
  METAL_FUNC const thread vec<T, 2>& thread_elements() const {
    return reinterpret_cast<const thread vec<T, 2>&>(__storage);
  }
};

using simdgroup_float8x8 = simdgroup_matrix<float, 8, 8>;
using simdgroup_half8x8 = simdgroup_matrix<half, 8, 8>;
using simdgroup_bfloat8x8 = simdgroup_matrix<bfloat, 8, 8>;
static_assert(sizeof(simdgroup_float8x8) == 256 && sizeof(simdgroup_bfloat8x8) == 128, "");

template <typename T, int Cols, int Rows = Cols>
METAL_FUNC METAL_CROSS_LANE simdgroup_matrix<T, Cols, Rows> make_filled_simdgroup_matrix(T value) {
  return simdgroup_matrix<T, Cols, Rows>(__air::tile_filled(value), __msl::raw_tag{});
}
template <typename T, int Cols, int Rows = Cols>
METAL_FUNC METAL_CROSS_LANE simdgroup_matrix<T, Cols, Rows> make_diagonal_simdgroup_matrix(T value) {
  return simdgroup_matrix<T, Cols, Rows>(value);
}

#define _MSL_TILE_ACCESS(space)                                                              \
  template <typename T, int C, int R>                                                        \
  METAL_FUNC METAL_CROSS_LANE void simdgroup_load(                                           \
      thread simdgroup_matrix<T, C, R>& d, const space T* source, ulong elements_per_row = C, \
      ulong2 matrix_origin = 0, bool transpose_matrix = false) {                             \
    d.__storage = __air::tile_load(                                                          \
        source, elements_per_row, __builtin_convertvector(matrix_origin.v, __msl::origin),   \
        transpose_matrix);                                                                   \
  }                                                                                          \
  template <typename T, int C, int R>                                                        \
  METAL_FUNC METAL_CROSS_LANE void simdgroup_store(                                          \
      const thread simdgroup_matrix<T, C, R>& a, space T* destination,                       \
      ulong elements_per_row = C, ulong2 matrix_origin = 0, bool transpose_matrix = false) { \
    __air::tile_store(a.__storage, destination, elements_per_row,                            \
                      __builtin_convertvector(matrix_origin.v, __msl::origin), transpose_matrix); \
  }
_MSL_TILE_ACCESS(device)
_MSL_TILE_ACCESS(threadgroup)
#undef _MSL_TILE_ACCESS

// d = a * b + c
template <typename T, typename A, typename B>
METAL_FUNC METAL_CROSS_LANE void simdgroup_multiply_accumulate(
    thread simdgroup_matrix<T, 8, 8>& d, const thread simdgroup_matrix<A, 8, 8>& a,
    const thread simdgroup_matrix<B, 8, 8>& b, const thread simdgroup_matrix<T, 8, 8>& c) {
  d.__storage = __air::tile_multiply_accumulate(a.__storage, b.__storage, c.__storage);
}
template <typename T, typename A, typename B>
METAL_FUNC METAL_CROSS_LANE void simdgroup_multiply(thread simdgroup_matrix<T, 8, 8>& d,
                                                    const thread simdgroup_matrix<A, 8, 8>& a,
                                                    const thread simdgroup_matrix<B, 8, 8>& b) {
  d.__storage =
      __air::tile_multiply_accumulate(a.__storage, b.__storage, __air::tile_filled(T(0)));
}
template <typename T>
METAL_FUNC METAL_CROSS_LANE simdgroup_matrix<T, 8, 8> operator*(simdgroup_matrix<T, 8, 8> a,
                                                               simdgroup_matrix<T, 8, 8> b) {
  simdgroup_matrix<T, 8, 8> d;
  simdgroup_multiply(d, a, b);
  return d;
}
} // namespace metal
