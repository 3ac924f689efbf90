/*
x = f32([[1, 2, 3, 4], [5, 6, 7, 8]])
out = zeros("f32", 8)
run("k", x, out, threads=4)
same(out, f32(1, 2, 3, 4, 50, 60, 70, 80))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device float4* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = x[0][i];
  float4 v = x[1];
  v[i] *= 10;
  out[4 + i] = v[i];
}
