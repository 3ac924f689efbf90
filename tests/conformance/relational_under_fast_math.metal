/*
x = f32(1, np.nan, np.inf, -2)
out = zeros("u8", 2, 4)
run("k", x, out.view(np.bool_), threads=4, options={"math_mode": "fast"})
same(out, u8([np.isnan(x), np.isinf(x)]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device bool* out, uint i [[thread_position_in_grid]]) {
  out[i] = isnan(x[i]);
  out[4 + i] = isinf(x[i]);
}
