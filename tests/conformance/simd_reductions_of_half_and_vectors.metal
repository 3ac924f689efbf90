/*
x = (np.arange(32) % 5).astype(np.float16)
h = zeros("f16", 2)
v = zeros("f32", 4)
run("k", x, h, v, threads=32, group_size=32)
same(h, f16(x.sum(), x.max()))
same(v, f32(x.sum(dtype=np.float32), 2 * x.sum(dtype=np.float32), 32, 0))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const half* x, device half* h, device float4* v,
              uint i [[thread_position_in_grid]]) {
  half sum = simd_sum(x[i]), most = simd_max(x[i]);
  float4 total = simd_sum(float4(x[i], 2 * x[i], 1, 0));
  if (i == 31) {
    h[0] = sum;
    h[1] = most;
    v[0] = total;
  }
}
