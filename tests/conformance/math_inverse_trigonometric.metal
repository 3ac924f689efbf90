/*
x = f32(0, 0.5, -1, 1, 0.999, -0.25)
out = zeros("f32", 4, 6)
run("k", x, out, threads=6)
w = x.astype(np.float64)
close(out, [np.arcsin(w), np.arccos(w), np.arctan(w), np.arctan2(w, -2.0)], rtol=1e-6, atol=2e-7)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = asin(x[i]);
  out[6 + i] = acos(x[i]);
  out[12 + i] = atan(x[i]);
  out[18 + i] = atan2(x[i], -2.0f);
}
