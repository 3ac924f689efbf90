/*
nan = np.nan
x = f32(nan, 1, nan, 2)
y = f32(1, nan, nan, 3)
out = zeros("f32", 4, 4)
run("k", x, y, out, threads=4)
same(out, f32([[1, 1, nan, 2], [1, 1, nan, 3], [1, 1, nan, 2], [1, 1, nan, 3]]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device const float* y, device float* out,
              uint i [[thread_position_in_grid]]) {
  out[i] = fmin(x[i], y[i]);
  out[4 + i] = fmax(x[i], y[i]);
  out[8 + i] = min(x[i], y[i]);
  out[12 + i] = max(x[i], y[i]);
}
