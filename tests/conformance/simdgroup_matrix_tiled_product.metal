/*
rng = np.random.default_rng(0)
a = rng.integers(-4, 5, (32, 24)).astype(np.float32)
b = rng.integers(-4, 5, (24, 16)).astype(np.float32)
out = zeros("f32", 32, 16)
run("k", a, b, out, threads=(32 * 2, 4), group_size=(32, 1))
same(out, a @ b)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* a, device const float* b, device float* out,
              uint2 g [[threadgroup_position_in_grid]]) {
  simdgroup_float8x8 sum(0.0f), x, y;
#pragma clang loop unroll(full)
  for (ushort k = 0; k < 24; k += 8) {
    simdgroup_load(x, a + g.y * 8 * 24 + k, 24);
    simdgroup_load(y, b + k * 16 + g.x * 8, 16);
    simdgroup_multiply_accumulate(sum, x, y, sum);
  }
  simdgroup_store(sum, out + g.y * 8 * 16 + g.x * 8, 16);
}
