/*
x = f32(1, np.nan, np.inf, -np.inf, 0, 1e-40, -0.0, -3)
out = zeros("u8", 5, 8)
run("k", x, out.view(np.bool_), threads=8)
same(out, u8([np.isnan(x), np.isinf(x), np.isfinite(x), np.isfinite(x) & (np.abs(x) >= np.finfo(np.float32).tiny), np.signbit(x)]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device bool* out, uint i [[thread_position_in_grid]]) {
  out[i] = isnan(x[i]);
  out[8 + i] = isinf(x[i]);
  out[16 + i] = isfinite(x[i]);
  out[24 + i] = isnormal(x[i]);
  out[32 + i] = signbit(x[i]);
}
