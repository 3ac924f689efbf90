/*
out = zeros("u32", 96, 4)
run("k", out, threads=96, group_size=96)
i = np.arange(96)
same(out, u32(np.stack([i % 32, i // 32, np.full(96, 3), np.full(96, 32)], -1)))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device uint4* out, uint i [[thread_position_in_grid]],
              uint lane [[thread_index_in_simdgroup]],
              uint group [[simdgroup_index_in_threadgroup]],
              uint groups [[simdgroups_per_threadgroup]], uint width [[threads_per_simdgroup]]) {
  out[i] = uint4(lane, group, groups, width);
}
