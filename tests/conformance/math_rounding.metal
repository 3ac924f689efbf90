/*
x = f32(0.5, 1.5, 2.5, -0.5, -1.5, 2.3, -2.7, 1e10)
out = zeros("f32", 6, 8)
run("k", x, out, threads=8)
away = np.trunc(x + np.copysign(0.5, x))
same(out[:5], f32([np.floor(x), np.ceil(x), np.trunc(x), np.rint(x), away]))
same(out[5], x - np.floor(x))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = floor(x[i]);
  out[8 + i] = ceil(x[i]);
  out[16 + i] = trunc(x[i]);
  out[24 + i] = rint(x[i]);
  out[32 + i] = round(x[i]);
  out[40 + i] = fract(x[i]);
}
