// <MetalPerformancePrimitives/MetalPerformancePrimitives.h>: products of matrices by the threads of a scope.
#pragma once

#include "metal_cooperative_tensor.h"

#if __METAL_VERSION__ >= 400
namespace mpp {
namespace tensor_ops {

// How much of the operands is multiplied: M x N of the product, over K of the inner dimension.
struct matmul2d_descriptor {
  enum class mode { multiply, multiply_accumulate };
  int m, n, k;
  bool transpose_left, transpose_right, relaxed_precision;
  mode matmul_mode;
  constexpr matmul2d_descriptor(int rows, int columns,
                                int inner = static_cast<int>(metal::dynamic_extent),
                                bool left_is_transposed = false, bool right_is_transposed = false,
                                bool relaxed = false, mode what = mode::multiply)
      : m(rows), n(columns), k(inner), transpose_left(left_is_transposed),
        transpose_right(right_is_transposed), relaxed_precision(relaxed), matmul_mode(what) {}
};
template <typename __T>
constexpr constant __T dynamic_length_v = metal::numeric_limits<__T>::max();

namespace __impl {
using metal::array;
using metal::extents;

// A matrix of Rows x Columns in pieces of 16 x 16, of which each simdgroup has every Simdgroups-th. Of a
// piece a thread has two rows, 8 apart, and of each four columns that are neighbours. Simdgroups = 0: one
// thread has it all, row by row.
template <int Rows, int Columns, int Simdgroups>
struct layout {
  static constexpr constant int pieces_across = (Columns + 15) / 16;
  static constexpr constant int pieces = (Rows + 15) / 16 * pieces_across;
  static constexpr constant ushort capacity = (pieces + Simdgroups - 1) / Simdgroups * 8;

  METAL_FUNC static int first_piece() {
    return Simdgroups == 1 ? 0 : int(metal::__air::simdgroup_index_in_threadgroup()) % Simdgroups;
  }
  METAL_FUNC static int row_in_piece(int lane) { return (lane / 4 & 4) | (lane / 2 & 3); }
  METAL_FUNC static int column_in_piece(int lane) { return ((lane / 4 & 2) | (lane & 1)) * 4; }
  // The thread of a simdgroup that has row `r` (of 8) and columns 4 * q to 4 * q + 3.
  METAL_FUNC static ushort lane_of(int r, int q) {
    return ushort((r & 4) * 4 | (q & 2) * 4 | (r & 3) * 2 | (q & 1));
  }
  METAL_FUNC static array<int, 2> coordinate(ushort i) {
    const int lane = metal::get_thread_index_in_simdgroup();
    const int piece = first_piece() + i / 8 * Simdgroups;
    return {piece % pieces_across * 16 + column_in_piece(lane) + i % 4,
            piece / pieces_across * 16 + row_in_piece(lane) + (i / 4 & 1) * 8};
  }
  METAL_FUNC static bool is_valid(ushort i) {
    if (Rows % 16 == 0 && Columns % 16 == 0 && pieces % Simdgroups == 0)
      return true;
    const array<int, 2> at = coordinate(i);
    return at[0] < Columns && at[1] < Rows;
  }
};
template <int Rows, int Columns>
struct layout<Rows, Columns, 0> {
  static constexpr constant ushort capacity = Rows * Columns;
  METAL_FUNC static array<int, 2> coordinate(ushort i) { return {i % Columns, i / Columns}; }
  METAL_FUNC static bool is_valid(ushort) { return true; }
};

template <typename Scope>
struct scope;
template <>
struct scope<metal::execution_threads<1>> {
  static constexpr constant int simdgroups = 0;
};
template <size_t __N>
struct scope<metal::execution_simdgroups<__N>> {
  static constexpr constant int simdgroups = __N;
};

template <typename __T>
struct operand {
  static constexpr constant bool is_cooperative = false;
  using value_type = typename __T::value_type;
  static_assert(metal::__msl::is_tensor<__T>::value,
                "matmul2d: an operand is neither a tensor nor a cooperative_tensor");
};
template <typename __E, typename __X, typename __L>
struct operand<metal::cooperative_tensor<__E, __X, __L>> {
  static constexpr constant bool is_cooperative = true;
  using value_type = __E;
};

template <typename __T>
constexpr constant bool is_byte = metal::is_same_v<__T, int8_t> || metal::is_same_v<__T, uint8_t>;
template <typename __T>
constexpr constant bool is_floating =
    metal::is_same_v<__T, float> || metal::is_same_v<__T, half> || metal::is_same_v<__T, bfloat>;
template <typename __A, typename __B, typename __C>
constexpr constant bool is_supported =
    (is_floating<__C> && (is_floating<__A> || is_byte<__A>) && (is_floating<__B> || is_byte<__B>)) ||
    (metal::is_same_v<__C, int32_t> && is_byte<__A> && is_byte<__B>);
// What sums are taken in.
template <typename __C>
using sum_of = metal::conditional_t<is_floating<__C>, float, int32_t>;

// Row `r` and column `c` of a tensor in memory; 0 outside.
template <typename Sum, typename __E, typename __X, typename __D, typename... Tags>
METAL_FUNC Sum element(const thread metal::tensor<__E, __X, __D, Tags...>& from, int r, int c) {
  const bool inside = r < int(from.get_extent(1)) && c < int(from.get_extent(0));
  return inside ? Sum(metal::__msl::value_of<__E>(from[array<int, 2>{c, r}])) : Sum(0);
}
template <typename Sum, typename __E, typename __X, int Rows, int Columns>
METAL_FUNC Sum element(const thread metal::cooperative_tensor<__E, __X, layout<Rows, Columns, 0>>& from,
                       int r, int c) {
  return Sum(from[ushort(r * Columns + c)]);
}

// What a thread needs of the left operand for its rows, and of the right one for its columns: row
// 16 * piece + 8 * half + (the layout's row), column 16 * piece + (the layout's column) + t.
template <bool Transposed, typename Sum, typename __E, typename __X, typename __D, typename... Tags>
METAL_FUNC Sum left_element(const thread metal::tensor<__E, __X, __D, Tags...>& from, int piece, int half_,
                            int k) {
  const int row = piece * 16 + half_ * 8 +
                  layout<16, 16, 1>::row_in_piece(metal::get_thread_index_in_simdgroup());
  return Transposed ? element<Sum>(from, k, row) : element<Sum>(from, row, k);
}
template <bool Transposed, typename Sum, typename __E, typename __X, typename __D, typename... Tags>
METAL_FUNC Sum right_element(const thread metal::tensor<__E, __X, __D, Tags...>& from, int piece, int t,
                             int k) {
  const int column = piece * 16 + t +
                     layout<16, 16, 1>::column_in_piece(metal::get_thread_index_in_simdgroup());
  return Transposed ? element<Sum>(from, column, k) : element<Sum>(from, k, column);
}
// From registers of other threads. Shuffles read one register of all threads; where the register
// depends on the asking thread, all that it may be are read.
template <bool Transposed, typename Sum, typename __E, typename __X, int Rows, int Columns>
METAL_FUNC METAL_CROSS_LANE Sum
left_element(const thread metal::cooperative_tensor<__E, __X, layout<Rows, Columns, 1>>& from, int piece,
             int half_, int k) {
  using __L = layout<Rows, Columns, 1>;
  const int row = __L::row_in_piece(metal::get_thread_index_in_simdgroup());
  if (!Transposed) {
    const int i = (piece * __L::pieces_across + k / 16) * 8 + half_ * 4 + k % 4;
    return Sum(metal::simd_shuffle(from[ushort(i)], __L::lane_of(row, k % 16 / 4)));
  }
  const int first = (k / 16 * __L::pieces_across + piece) * 8 + k % 16 / 8 * 4;
  const ushort lane = __L::lane_of(k % 8, half_ * 2 + row / 4);
  Sum result = Sum(0);
  for (int t = 0; t < 4; ++t) {
    const __E there = metal::simd_shuffle(from[ushort(first + t)], lane);
    result = t == (row & 3) ? Sum(there) : result;
  }
  return result;
}
template <bool Transposed, typename Sum, typename __E, typename __X, int Rows, int Columns>
METAL_FUNC METAL_CROSS_LANE Sum
right_element(const thread metal::cooperative_tensor<__E, __X, layout<Rows, Columns, 1>>& from, int piece,
              int t, int k) {
  using __L = layout<Rows, Columns, 1>;
  const int column = __L::column_in_piece(metal::get_thread_index_in_simdgroup());
  if (!Transposed) {
    const int i = (k / 16 * __L::pieces_across + piece) * 8 + k % 16 / 8 * 4 + t;
    return Sum(metal::simd_shuffle(from[ushort(i)], __L::lane_of(k % 8, column / 4)));
  }
  const int first = (piece * __L::pieces_across + k / 16) * 8 + k % 4;
  const ushort lane = __L::lane_of((column + t) % 8, k % 16 / 4);
  const __E upper = metal::simd_shuffle(from[ushort(first)], lane);
  const __E lower = metal::simd_shuffle(from[ushort(first + 4)], lane);
  return column < 8 ? Sum(upper) : Sum(lower);
}

// Adds the product to `sums`, one for each element that the layout gives this thread.
template <bool TransposeLeft, bool TransposeRight, int __M, int __N, typename Sum, typename __L, typename __R>
METAL_FUNC METAL_CROSS_LANE void add_product(thread Sum* sums, const thread __L& left,
                                             const thread __R& right, int inner, layout<__M, __N, 1>) {
  constexpr int down = (__M + 15) / 16, across = (__N + 15) / 16;
  // Unrolled, this is more code than any compiler likes.
#pragma clang loop unroll(disable)
  for (int k = 0; k < inner; ++k) {
    Sum a[down * 2], b[across * 4];
    for (int i = 0; i < down * 2; ++i)
      a[i] = left_element<TransposeLeft, Sum>(left, i / 2, i % 2, k);
    for (int i = 0; i < across * 4; ++i)
      b[i] = right_element<TransposeRight, Sum>(right, i / 4, i % 4, k);
    for (int i = 0; i < down * 2; ++i)
      for (int j = 0; j < across * 4; ++j)
        sums[((i / 2) * across + j / 4) * 8 + i % 2 * 4 + j % 4] += a[i] * b[j];
  }
}
template <bool TransposeLeft, bool TransposeRight, int __M, int __N, int Simdgroups, typename Sum,
          typename __L, typename __R>
METAL_FUNC void add_product(thread Sum* sums, const thread __L& left, const thread __R& right, int inner,
                            layout<__M, __N, Simdgroups>) {
  using At = layout<__M, __N, Simdgroups>;
#pragma clang loop unroll(disable)
  for (ushort i = 0; i < At::capacity; ++i) {
    const array<int, 2> at = At::coordinate(i);
    Sum sum = sums[i];
#pragma clang loop unroll(disable)
    for (int k = 0; k < inner; ++k)
      sum += (TransposeLeft ? element<Sum>(left, k, at[1]) : element<Sum>(left, at[1], k)) *
             (TransposeRight ? element<Sum>(right, at[0], k) : element<Sum>(right, k, at[0]));
    sums[i] = sum;
  }
}

// How far the inner dimension goes when the descriptor leaves it open; at most as far as operands in
// memory do.
template <typename __E, typename __X, typename __D, typename... Tags>
METAL_FUNC int inner_extent(const thread metal::tensor<__E, __X, __D, Tags...>& from, int dimension, int k) {
  const int there = int(from.get_extent(dimension));
  return k < there ? k : there;
}
template <typename __E, typename __X, typename __L>
METAL_FUNC int inner_extent(const thread metal::cooperative_tensor<__E, __X, __L>&, int, int k) {
  return k;
}

// Element i of a thread's part of the destination.
template <typename __L, typename Sum, typename __E, typename __X>
METAL_FUNC Sum at(const thread metal::cooperative_tensor<__E, __X, __L>& from, ushort i) {
  return Sum(from[i]);
}
template <typename __L, typename Sum, typename __E, typename __X, typename __D, typename... Tags>
METAL_FUNC Sum at(const thread metal::tensor<__E, __X, __D, Tags...>& from, ushort i) {
  const array<int, 2> index = __L::coordinate(i);
  return __L::is_valid(i) ? element<Sum>(from, index[1], index[0]) : Sum(0);
}
template <typename __L, typename Sum, typename __E, typename __X>
METAL_FUNC void put(thread metal::cooperative_tensor<__E, __X, __L>& to, ushort i, Sum value) {
  to[i] = __E(value);
}
template <typename __L, typename Sum, typename __E, typename __X, typename __D, typename... Tags>
METAL_FUNC void put(const thread metal::tensor<__E, __X, __D, Tags...>& to, ushort i, Sum value) {
  if (__L::is_valid(i))
    to.set(metal::__msl::value_of<__E>(value), __L::coordinate(i));
}
} // namespace __impl

// The descriptor is a template argument of class type, which C++ has since C++20.
__attribute__((msl_class_arguments(1))) typedef void __class_arguments;
template <matmul2d_descriptor Descriptor, typename Scope, typename... Args>
class matmul2d {
  static constexpr constant int simdgroups = __impl::scope<Scope>::simdgroups;
  static constexpr constant bool inner_is_open =
      Descriptor.k <= 0 || Descriptor.k == metal::numeric_limits<int>::max();
  static constexpr constant int inner = inner_is_open ? metal::numeric_limits<int>::max() : Descriptor.k;
  static_assert(Descriptor.m > 0 && Descriptor.n > 0, "matmul2d: m and n must be positive");

  template <int Rows, int Columns>
  using input_layout = __impl::layout<inner_is_open ? 16 : Rows, inner_is_open ? 16 : Columns, simdgroups>;
  using left_layout = input_layout<Descriptor.transpose_left ? inner : Descriptor.m,
                                   Descriptor.transpose_left ? Descriptor.m : inner>;
  using right_layout = input_layout<Descriptor.transpose_right ? Descriptor.n : inner,
                                    Descriptor.transpose_right ? inner : Descriptor.n>;
  using product_layout = __impl::layout<Descriptor.m, Descriptor.n, simdgroups>;
  template <typename __C>
  static constexpr constant bool is_input =
      !inner_is_open && simdgroups <= 1 && metal::is_integral_v<__C>;

 public:
  static constexpr constant matmul2d_descriptor descriptor = Descriptor;
  using scope = Scope;

  template <typename Left, typename Right, typename __E, typename Coordinate = int, typename...>
  using cooperative_tensor_left_input_t = metal::cooperative_tensor<
      Left,
      metal::extents<Coordinate, Descriptor.transpose_left ? Descriptor.m : inner,
                     Descriptor.transpose_left ? inner : Descriptor.m>,
      left_layout>;
  template <typename Left, typename Right, typename __E, typename Coordinate = int, typename...>
  using cooperative_tensor_right_input_t = metal::cooperative_tensor<
      Right,
      metal::extents<Coordinate, Descriptor.transpose_right ? inner : Descriptor.n,
                     Descriptor.transpose_right ? Descriptor.n : inner>,
      right_layout>;
  template <typename Left, typename Right, typename __E, typename Coordinate = int, typename...>
  using cooperative_tensor_destination_t =
      metal::cooperative_tensor<__E, metal::extents<Coordinate, Descriptor.n, Descriptor.m>,
                                product_layout>;

  template <typename Left, typename Right, typename __E, typename Coordinate = int, typename... More>
  METAL_FUNC cooperative_tensor_left_input_t<Left, Right, __E, Coordinate, More...>
  get_left_input_cooperative_tensor() const {
    static_assert(is_input<Coordinate>, "matmul2d: a cooperative input takes a fixed k and a scope of "
                                        "one thread or one simdgroup");
    return {};
  }
  template <typename Left, typename Right, typename __E, typename Coordinate = int, typename... More>
  METAL_FUNC cooperative_tensor_right_input_t<Left, Right, __E, Coordinate, More...>
  get_right_input_cooperative_tensor() const {
    static_assert(is_input<Coordinate>, "matmul2d: a cooperative input takes a fixed k and a scope of "
                                        "one thread or one simdgroup");
    return {};
  }
  template <typename Left, typename Right, typename __E, typename Coordinate = int, typename... More>
  METAL_FUNC cooperative_tensor_destination_t<Left, Right, __E, Coordinate, More...>
  get_destination_cooperative_tensor() const {
    static_assert(__impl::is_supported<typename __impl::operand<Left>::value_type,
                                       typename __impl::operand<Right>::value_type, __E>,
                  "matmul2d: these element types cannot be combined");
    return {};
  }

  // What another operation left, as an input of this one: where the layouts are one.
  template <typename Left, typename Right, typename __E, typename __S, typename __X, typename __L>
  METAL_FUNC bool
  is_compatible_as_left_input(const thread metal::cooperative_tensor<__S, __X, __L>&) const {
    return metal::is_same_v<__L, left_layout>;
  }
  template <typename Left, typename Right, typename __E, typename __S, typename __X, typename __L>
  METAL_FUNC bool
  is_compatible_as_right_input(const thread metal::cooperative_tensor<__S, __X, __L>&) const {
    return metal::is_same_v<__L, right_layout>;
  }
  template <typename Left, typename Right, typename __E, typename Coordinate = int, typename __S,
            typename __X, typename __L>
  METAL_FUNC cooperative_tensor_left_input_t<Left, Right, __E, Coordinate>
  get_left_input_cooperative_tensor(const thread metal::cooperative_tensor<__S, __X, __L>& from) const {
    static_assert(metal::is_same_v<__L, left_layout>, "matmul2d: the source has another layout");
    cooperative_tensor_left_input_t<Left, Right, __E, Coordinate> input;
    for (ushort i = 0; i < __L::capacity; ++i)
      input[i] = Left(from[i]);
    return input;
  }
  template <typename Left, typename Right, typename __E, typename Coordinate = int, typename __S,
            typename __X, typename __L>
  METAL_FUNC cooperative_tensor_right_input_t<Left, Right, __E, Coordinate>
  get_right_input_cooperative_tensor(const thread metal::cooperative_tensor<__S, __X, __L>& from) const {
    static_assert(metal::is_same_v<__L, right_layout>, "matmul2d: the source has another layout");
    cooperative_tensor_right_input_t<Left, Right, __E, Coordinate> input;
    for (ushort i = 0; i < __L::capacity; ++i)
      input[i] = Right(from[i]);
    return input;
  }

  // All threads of the scope together. Reads the operands once they are all there: a barrier in front
  // of it, and one before others read a destination in memory, are the caller's.
  template <typename Left, typename Right, typename Destination>
  METAL_FUNC METAL_CROSS_LANE void run(const thread Left& left, const thread Right& right,
                                       thread Destination& destination) const {
    using __A = typename __impl::operand<Left>::value_type;
    using __B = typename __impl::operand<Right>::value_type;
    using __C = typename __impl::operand<metal::remove_cv_t<Destination>>::value_type;
    static_assert(__impl::is_supported<__A, __B, __C>, "matmul2d: these element types cannot be combined");
    static_assert((!__impl::operand<Left>::is_cooperative && !__impl::operand<Right>::is_cooperative) ||
                      is_input<int>,
                  "matmul2d: a cooperative input takes a fixed k and a scope of one thread or one "
                  "simdgroup");
    using Sum = __impl::sum_of<__C>;
    constexpr bool accumulates =
        Descriptor.matmul_mode == matmul2d_descriptor::mode::multiply_accumulate;
    Sum sums[product_layout::capacity];
    for (ushort i = 0; i < product_layout::capacity; ++i)
      sums[i] = accumulates ? __impl::at<product_layout, Sum>(destination, i) : Sum(0);
    const int k = __impl::inner_extent(
        right, Descriptor.transpose_right ? 0 : 1,
        __impl::inner_extent(left, Descriptor.transpose_left ? 1 : 0, inner));
    __impl::add_product<Descriptor.transpose_left, Descriptor.transpose_right>(
        sums, left, right, k, product_layout{});
    for (ushort i = 0; i < product_layout::capacity; ++i)
      __impl::put<product_layout>(destination, i, sums[i]);
  }
};
__attribute__((msl_class_arguments(0))) typedef void __class_arguments;
} // namespace tensor_ops
} // namespace mpp
#endif
