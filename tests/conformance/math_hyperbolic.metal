/*
x = f32(0, 0.5, -1, 3, -8, 0.01)
out = zeros("f32", 4, 6)
run("k", x, out, threads=6)
w = x.astype(np.float64)
close(out, [np.sinh(w), np.cosh(w), np.tanh(w), np.arcsinh(w)], rtol=1e-6, atol=1e-8)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = sinh(x[i]);
  out[6 + i] = cosh(x[i]);
  out[12 + i] = tanh(x[i]);
  out[18 + i] = asinh(x[i]);
}
