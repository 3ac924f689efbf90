/*
x = f32(0, 0.5, -1, 3, 100, -1000, 1e-3, 22)
out = zeros("f32", 5, 8)
run("k", x, out, threads=8)
w = x.astype(np.float64)
close(out, [np.sin(w), np.cos(w), np.tan(w), np.sin(w), np.cos(w)], rtol=5e-6, atol=2e-7)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = sin(x[i]);
  out[8 + i] = cos(x[i]);
  out[16 + i] = tan(x[i]);
  float c;
  out[24 + i] = sincos(x[i], c);
  out[32 + i] = c;
}
