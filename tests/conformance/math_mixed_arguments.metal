/*
x = f32(-1.5, 0.25, 2)
h = f16(-1.5, 0.25, 2)
out = zeros("f32", 6, 3)
run("k", x, h, out, threads=3)
same(out, f32([np.maximum(x, 0), np.minimum(1, x), np.clip(x, 0, 1), x * x, np.clip(h, 0, 1), np.maximum(h, 0)]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device const half* h, device float* out,
              uint i [[thread_position_in_grid]]) {
  out[i] = max(x[i], 0);
  out[3 + i] = min(1, x[i]);
  out[6 + i] = clamp(x[i], 0, 1);
  out[9 + i] = pow(x[i], 2);
  out[12 + i] = clamp(h[i], 0.0f, 1.0f);
  out[15 + i] = max(h[i], 0.0f);
}
