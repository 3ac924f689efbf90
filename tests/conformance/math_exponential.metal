/*
x = f32(0, 1, -1, 0.5, 10, -20, 3.25, 0.001)
out = zeros("f32", 3, 8)
run("k", x, out, threads=8)
w = x.astype(np.float64)
close(out, [np.exp(w), np.exp2(w), 10.0 ** w], rtol=3e-7)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = exp(x[i]);
  out[8 + i] = exp2(x[i]);
  out[16 + i] = exp10(x[i]);
}
