/*
out = zeros("i32", 20)
sums = zeros("i32", 20)
run("k", out, sums, threads=20, group_size=20)
i = np.arange(20)
same(out, i32(i == 0) + 2 * (i == 5))
same(sums, [20] * 20)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out, device int* sums, uint i [[thread_position_in_grid]]) {
  out[i] = simd_is_first();
  if (i >= 5)
    out[i] += simd_is_first() ? 2 : 0;
  sums[i] = simd_sum(1);
}
