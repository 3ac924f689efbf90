// Small vocabulary: move, forward, swap, uniform, assertions.
#pragma once

#include "metal_type_traits.h"

namespace metal {
template <typename T>
METAL_FUNC constexpr __remove_reference_t(T)&& move(T&& x) noexcept {
  return static_cast<__remove_reference_t(T)&&>(x);
}
template <typename T>
METAL_FUNC constexpr T&& forward(__remove_reference_t(T)& x) noexcept {
  return static_cast<T&&>(x);
}
template <typename T>
METAL_FUNC constexpr void swap(thread T& a, thread T& b) {
  T old = a;
  a = b;
  b = old;
}

// What the operand of a cast to half or bfloat goes through: see csrc/msl/tokens.h. Every float is a
// half rounded once, and so is every bfloat.
namespace __msl {
METAL_FUNC constexpr float __widened(half x) { return x; }
METAL_FUNC constexpr float __widened(bfloat x) { return x; }
template <typename T>
METAL_FUNC constexpr T&& __widened(T&& x) {
  return static_cast<T&&>(x);
}
}  // namespace __msl

// A value that is the same in all threads of the dispatch. Here it is the value itself.
template <typename T>
struct uniform {
  using value_type = T;
  T __value;
  uniform() = default;
  METAL_FUNC constexpr uniform(T x) : __value(x) {}
  METAL_FUNC constexpr operator T() const { return __value; }
};
template <typename T>
METAL_FUNC constexpr uniform<T> make_uniform(T x) {
  return uniform<T>(x);
}

template <typename T, typename U = T>
struct pair {
  using first_type = T;
  using second_type = U;
  T first;
  U second;
};
template <typename T, typename U>
METAL_FUNC constexpr pair<T, U> make_pair(T a, U b) {
  return pair<T, U>{a, b};
}

template <size_t... I>
struct index_sequence {
  static constexpr size_t size() { return sizeof...(I); }
};
namespace __msl {
template <typename T, T... I>
struct sequence_of {
  using type = index_sequence<size_t(I)...>;
};
} // namespace __msl
template <size_t N>
using make_index_sequence = typename __make_integer_seq<__msl::sequence_of, size_t, N>::type;

// No size that is known when compiling.
constexpr constant size_t dynamic_extent = ~size_t(0);

namespace __msl {
// What the token rewriter makes of the indices in `t[i, j]`. Where nobody takes more than one, the last is
// meant, as the comma operator has it.
template <size_t N>
struct index_list {
  long at[N];
  constexpr operator long() const { return at[N - 1]; }
};
template <typename T, typename U, typename... More>
METAL_FUNC constexpr index_list<2 + sizeof...(More)> indices(T first, U second, More... more) {
  return {{long(first), long(second), long(more)...}};
}
// The comma was one of template arguments.
template <typename T>
METAL_FUNC constexpr T indices(T only) {
  return only;
}
} // namespace __msl
} // namespace metal

// As without a debugger attached: the condition is not evaluated.
#define assert(condition) ((void)0)
