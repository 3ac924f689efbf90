/*
out = zeros("f32", 3)
run("k", out, threads=1)
same(out, f32(3.5, 7, 2))
*/
#include <metal_stdlib>
using namespace metal;

auto halve(float x) { return x / 2; }
template <typename A, typename B>
auto add(A a, B b) -> decltype(a + b) {
  return a + b;
}
kernel void k(device float* out) {
  auto x = 7;
  decltype(halve(1)) y = halve(x);
  out[0] = y;
  out[1] = add(x, 0.0f);
  auto v = float2(1, 2);
  decltype(v.x) z = v.y;
  out[2] = z;
}
