/*
x = f32(1, 1.5, 10, 100)
y = f32(0, 0.5, -0.9, 0.01)
out = zeros("f32", 2, 4)
run("k", x, y, out, threads=4)
close(out, [np.arccosh(x.astype(np.float64)), np.arctanh(y.astype(np.float64))], rtol=1e-6)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device const float* y, device float* out,
              uint i [[thread_position_in_grid]]) {
  out[i] = acosh(x[i]);
  out[4 + i] = atanh(y[i]);
}
