/*
out = zeros("u32", 16, 2)
run("k", out, threads=16, group_size=16)
i = np.arange(16)
same(out, u32(np.stack([i % 4, i // 4], -1)))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device uint2* out, uint i [[thread_position_in_grid]],
              uint lane [[thread_index_in_quadgroup]],
              uint quad [[quadgroup_index_in_threadgroup]]) {
  out[i] = uint2(lane, quad);
}
