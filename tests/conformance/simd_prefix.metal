/*
x = (np.arange(32) % 4 + 1).astype(np.float32)
out = zeros("f32", 4, 32)
run("k", x, out, threads=32, group_size=32)
c = np.cumsum(x)
m = np.where(x > 3, np.float32(1.5), np.float32(1))
p = np.cumprod(m.astype(np.float64))
same(out[:2], f32([c, c - x]))
close(out[2:], [p, p / m], rtol=1e-6)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = simd_prefix_inclusive_sum(x[i]);
  out[32 + i] = simd_prefix_exclusive_sum(x[i]);
  float m = x[i] > 3 ? 1.5f : 1.0f;
  out[64 + i] = simd_prefix_inclusive_product(m);
  out[96 + i] = simd_prefix_exclusive_product(m);
}
