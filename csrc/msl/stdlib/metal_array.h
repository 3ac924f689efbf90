// metal::array: a fixed-size array that can be copied and returned.
#pragma once

#include "metal_types.h"

namespace metal {
template <typename T, size_t N>
struct array {
  using value_type = T;
  T __elements[N ? N : 1];
  static constexpr size_t size() { return N; }
  static constexpr bool empty() { return N == 0; }
  constexpr T& operator[](size_t i) { return __elements[i]; }
  constexpr const T& operator[](size_t i) const { return __elements[i]; }
  constexpr T& front() { return __elements[0]; }
  constexpr const T& front() const { return __elements[0]; }
  constexpr T& back() { return __elements[N - 1]; }
  constexpr const T& back() const { return __elements[N - 1]; }
  constexpr T* data() { return __elements; }
  constexpr const T* data() const { return __elements; }
  constexpr T* begin() { return __elements; }
  constexpr const T* begin() const { return __elements; }
  constexpr T* end() { return __elements + N; }
  constexpr const T* end() const { return __elements + N; }
  constexpr void fill(const T& value) {
    for (size_t i = 0; i < N; ++i)
      __elements[i] = value;
  }
};
} // namespace metal
