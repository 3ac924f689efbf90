/*
out = zeros("u32", 12, 4)
run("k", out, threads=12, group_size=4)
i = np.arange(12)
same(out, u32(np.stack([i % 4, i // 4, np.full(12, 4), i % 4], -1)))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device uint4* out, uint i [[thread_position_in_grid]],
              uint local [[thread_position_in_threadgroup]],
              uint group [[threadgroup_position_in_grid]],
              uint width [[threads_per_threadgroup]],
              uint index [[thread_index_in_threadgroup]]) {
  out[i] = uint4(local, group, width, index);
}
