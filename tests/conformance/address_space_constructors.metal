/*
out = zeros("f32", 4)
run("k", out, threads=1)
same(out, f32(5, 307, 1, 9))
*/
// A constructor per address space, as in MLX's complex and bfloat types, but each with a meaning of its own.
#include <metal_stdlib>
using namespace metal;

struct Number {
  float v;
  Number() thread = default;
  Number() threadgroup = default;
  Number() device = default;
  Number() constant = default;
  template <typename T, typename = enable_if_t<is_arithmetic_v<T>>>
  constexpr Number(T x) thread : v(float(x)) {}
  template <typename T, typename = enable_if_t<is_arithmetic_v<T>>>
  constexpr Number(T x) threadgroup : v(float(x) + 100) {}
  template <typename T, typename = enable_if_t<is_arithmetic_v<T>>>
  constexpr Number(T x) device : v(float(x) + 200) {}
  template <typename T, typename = enable_if_t<is_arithmetic_v<T>>>
  constexpr Number(T x) constant : v(float(x) + 300) {}
};
constant Number seven = 7;

kernel void k(device float* out) {
  threadgroup Number shared;
  Number own = 5;
  out[0] = own.v;
  out[1] = seven.v;
  shared = Number(1);
  out[2] = shared.v;
  own = 9;
  out[3] = own.v;
}
