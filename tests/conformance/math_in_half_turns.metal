/*
x = f32(0, 0.25, 0.5, 1, 1.5, -0.75)
out = zeros("f32", 3, 6)
run("k", x, out, threads=6)
w = x.astype(np.float64) * np.pi
close(out[:2], [np.sin(w), np.cos(w)], rtol=1e-6, atol=1e-7)
close(out[2, [0, 1, 3, 5]], np.tan(w)[[0, 1, 3, 5]], rtol=1e-6, atol=1e-7)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = sinpi(x[i]);
  out[6 + i] = cospi(x[i]);
  out[12 + i] = tanpi(x[i]);
}
