/*
x = f32(1, 2, 3)
out = zeros("f32", 3)
run("k", x, out, threads=3)
same(out, f32(3, 5, 7))
*/
#include <metal_stdlib>
using namespace metal;

template <typename T>
T doubled(T x) {
  T copy = x;
  copy += x;
  return copy;
}
template <typename T>
T first(device const T* p, uint i) {
  return p[i];
}
kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  auto value = x[i];
  value = doubled(x[i]);
  static_assert(is_same_v<decltype(value), float>, "");
  static_assert(is_same_v<decltype(first(x, i)), float>, "");
  out[i] = value + first(x, 0);
}
