/*
x = f32(1e20, 1, -1e20)
out = zeros("f32", 2)
run("k", x, out, threads=1)
same(out, f32(0, 0))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out) {
  out[0] = (x[0] + x[1]) + x[2];
  float big = x[0] + x[1];
  out[1] = big - x[0];
}
