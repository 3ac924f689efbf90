/*
x = f32(-2, 0.25, 3, -0.0, np.nan)
out = zeros("f32", 2, 5)
signs = zeros("f32", 5)
run("k", x, out, signs, threads=5)
same(out[0, :4], np.clip(x[:4], -1, 2))
close(out[1], [0, 0.25, 1, 0, 0])
same(signs, f32(-1, 1, 1, -0.0, 0))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, device float* signs,
              uint i [[thread_position_in_grid]]) {
  out[i] = clamp(x[i], -1.0f, 2.0f);
  out[5 + i] = saturate(x[i]);
  signs[i] = sign(x[i]);
}
