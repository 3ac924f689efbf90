/*
x = (np.arange(64) * 7 % 13 - 4).astype(np.float32)
out = zeros("f32", 4, 64)
run("k", x, out, threads=64, group_size=64)
g = x.reshape(2, 32)
same(out[:3], f32([np.repeat(g.sum(1), 32), np.repeat(g.max(1), 32), np.repeat(g.min(1), 32)]))
close(out[3], np.repeat(np.prod(1 + g / 64, axis=1), 32), rtol=1e-5)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = simd_sum(x[i]);
  out[64 + i] = simd_max(x[i]);
  out[128 + i] = simd_min(x[i]);
  out[192 + i] = simd_product(1 + x[i] / 64);
}
