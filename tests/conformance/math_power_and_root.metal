/*
x = f32(2, 3, 10, 0.5, 4, 9)
y = f32(10, 0.5, -2, 3, 0, 1.5)
out = zeros("f32", 4, 6)
run("k", x, y, out, threads=6)
w, v = x.astype(np.float64), y.astype(np.float64)
close(out, [w ** v, w ** v, np.sqrt(w), 1 / np.sqrt(w)], rtol=1e-6)
same(out[2], np.sqrt(x))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device const float* y, device float* out,
              uint i [[thread_position_in_grid]]) {
  out[i] = pow(x[i], y[i]);
  out[6 + i] = powr(x[i], y[i]);
  out[12 + i] = sqrt(x[i]);
  out[18 + i] = rsqrt(x[i]);
}
