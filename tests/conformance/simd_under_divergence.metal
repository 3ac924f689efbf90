/*
out = zeros("i32", 2, 32)
run("k", out, threads=32, group_size=32)
i = np.arange(32)
odd = i % 2 == 1
same(out[0], np.where(odd, i[odd].sum(), i[~odd].sum()))
same(out[1], np.where(odd, 1, 0))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out, uint i [[thread_position_in_grid]]) {
  if (i % 2 == 1)
    out[i] = simd_sum(int(i));
  else
    out[i] = simd_sum(int(i));
  if (i % 2 == 1)
    out[32 + i] = simd_broadcast_first(int(i));
  else
    out[32 + i] = simd_broadcast_first(int(i));
}
