// float2x2 to float4x4 and half2x2 to half4x4: columns of vectors. matrix<T, C, R> has C columns of R.
#pragma once

#include "metal_geometric.h"

namespace metal {
template <typename T, int C, int R>
struct matrix {
  static_assert(__msl::is_float<T> && C >= 2 && C <= 4 && R >= 2 && R <= 4,
                "a matrix has 2 to 4 columns and rows of a floating-point type");
  using column = vec<T, R>;
  column columns[C];

  matrix() = default;
  // The diagonal matrix.
  METAL_FUNC constexpr explicit matrix(T diagonal) : columns{} {
    for (int c = 0; c < C && c < R; ++c)
      columns[c].v[c] = diagonal;
  }
  METAL_FUNC constexpr matrix(column a, column b) : columns{a, b} {
    static_assert(C == 2, "one argument per column");
  }
  METAL_FUNC constexpr matrix(column a, column b, column c) : columns{a, b, c} {
    static_assert(C == 3, "one argument per column");
  }
  METAL_FUNC constexpr matrix(column a, column b, column c, column d) : columns{a, b, c, d} {
    static_assert(C == 4, "one argument per column");
  }
  // Element by element, column after column.
  template <typename... S, typename = enable_if_t<(sizeof...(S) == C * R) && (sizeof...(S) > 4) &&
                                                  (__is_arithmetic(S) && ...)>>
  METAL_FUNC constexpr matrix(S... elements) : columns{} {
    T flat[] = {T(elements)...};
    for (int c = 0; c < C; ++c)
      for (int r = 0; r < R; ++r)
        columns[c].v[r] = flat[c * R + r];
  }
  METAL_FUNC constexpr matrix(T a, T b, T c, T d) : columns{column(a, b), column(c, d)} {
    static_assert(C == 2 && R == 2, "one argument per element");
  }
  template <typename U>
  METAL_FUNC constexpr explicit matrix(const matrix<U, C, R>& other) : columns{} {
    for (int c = 0; c < C; ++c)
      columns[c] = column(other.columns[c]);
  }

  METAL_FUNC constexpr column& operator[](long c) { return columns[c]; }
  METAL_FUNC constexpr const column& operator[](long c) const { return columns[c]; }

#define _MSL_BY_COLUMN(op)                                                   \
  friend METAL_FUNC constexpr matrix operator op(matrix a, matrix b) {       \
    matrix r = a;                                                            \
    for (int c = 0; c < C; ++c)                                              \
      r.columns[c] = a.columns[c] op b.columns[c];                           \
    return r;                                                                \
  }                                                                          \
  METAL_FUNC constexpr matrix& operator op##=(matrix b) { return *this = *this op b; }
  _MSL_BY_COLUMN(+)
  _MSL_BY_COLUMN(-)
#undef _MSL_BY_COLUMN
  friend METAL_FUNC constexpr matrix operator-(matrix a) {
    for (int c = 0; c < C; ++c)
      a.columns[c] = -a.columns[c];
    return a;
  }
  friend METAL_FUNC constexpr matrix operator*(matrix a, T s) {
    for (int c = 0; c < C; ++c)
      a.columns[c] = a.columns[c] * s;
    return a;
  }
  friend METAL_FUNC constexpr matrix operator*(T s, matrix a) { return a * s; }
  friend METAL_FUNC constexpr matrix operator/(matrix a, T s) {
    for (int c = 0; c < C; ++c)
      a.columns[c] = a.columns[c] / s;
    return a;
  }
  METAL_FUNC constexpr matrix& operator*=(T s) { return *this = *this * s; }
  METAL_FUNC constexpr matrix& operator/=(T s) { return *this = *this / s; }
  METAL_FUNC constexpr matrix& operator*=(matrix<T, C, C> b) { return *this = *this * b; }
  friend METAL_FUNC vec<T, R> operator*(matrix a, vec<T, C> x) {
    vec<T, R> r = a.columns[0] * x.v[0];
    for (int c = 1; c < C; ++c)
      r = fma(a.columns[c], vec<T, R>(T(x.v[c])), r);
    return r;
  }
  friend METAL_FUNC vec<T, C> operator*(vec<T, R> x, matrix a) {
    vec<T, C> r;
    for (int c = 0; c < C; ++c)
      r.v[c] = dot(x, a.columns[c]);
    return r;
  }
  friend METAL_FUNC constexpr bool operator==(matrix a, matrix b) {
    bool same = true;
    for (int c = 0; c < C; ++c)
      same = same & all(a.columns[c] == b.columns[c]);
    return same;
  }
  friend METAL_FUNC constexpr bool operator!=(matrix a, matrix b) { return !(a == b); }
};

template <typename T, int K, int R, int C>
METAL_FUNC matrix<T, C, R> operator*(matrix<T, K, R> a, matrix<T, C, K> b) {
  matrix<T, C, R> r;
  for (int c = 0; c < C; ++c)
    r.columns[c] = a * b.columns[c];
  return r;
}
template <typename T, int C, int R>
METAL_FUNC constexpr matrix<T, R, C> transpose(matrix<T, C, R> a) {
  matrix<T, R, C> t(T(0));
  for (int c = 0; c < C; ++c)
    for (int r = 0; r < R; ++r)
      t.columns[r].v[c] = a.columns[c].v[r];
  return t;
}
template <typename T>
METAL_FUNC T determinant(matrix<T, 2, 2> a) {
  return a[0].x * a[1].y - a[0].y * a[1].x;
}
template <typename T>
METAL_FUNC T determinant(matrix<T, 3, 3> a) {
  return dot(a[0], cross(a[1], a[2]));
}
// Laplace expansion by the 2x2 minors of the first and the last two columns.
template <typename T>
METAL_FUNC T determinant(matrix<T, 4, 4> m) {
  vec<T, 4> a = m[0], b = m[1], c = m[2], d = m[3];
  T ab01 = a.x * b.y - a.y * b.x, ab02 = a.x * b.z - a.z * b.x, ab03 = a.x * b.w - a.w * b.x;
  T ab12 = a.y * b.z - a.z * b.y, ab13 = a.y * b.w - a.w * b.y, ab23 = a.z * b.w - a.w * b.z;
  T cd01 = c.x * d.y - c.y * d.x, cd02 = c.x * d.z - c.z * d.x, cd03 = c.x * d.w - c.w * d.x;
  T cd12 = c.y * d.z - c.z * d.y, cd13 = c.y * d.w - c.w * d.y, cd23 = c.z * d.w - c.w * d.z;
  return ab01 * cd23 - ab02 * cd13 + ab03 * cd12 + ab12 * cd03 - ab13 * cd02 + ab23 * cd01;
}

#define _MSL_FOR_SHAPES(M, T)                                                            \
  M(T, 2, 2) M(T, 2, 3) M(T, 2, 4) M(T, 3, 2) M(T, 3, 3) M(T, 3, 4) M(T, 4, 2) M(T, 4, 3) \
  M(T, 4, 4)
#define _MSL_MATRIX_NAME(T, C, R) using T##C##x##R = matrix<T, C, R>;
_MSL_FOR_SHAPES(_MSL_MATRIX_NAME, float)
_MSL_FOR_SHAPES(_MSL_MATRIX_NAME, half)
_MSL_FOR_SHAPES(_MSL_MATRIX_NAME, bfloat)
#undef _MSL_MATRIX_NAME
static_assert(sizeof(float3x3) == 48 && sizeof(half4x4) == 32 && sizeof(float4x2) == 32, "");
} // namespace metal

#define _MSL_MATRIX_NAME(T, C, R) using metal::T##C##x##R;
_MSL_FOR_SHAPES(_MSL_MATRIX_NAME, float)
_MSL_FOR_SHAPES(_MSL_MATRIX_NAME, half)
#undef _MSL_MATRIX_NAME
