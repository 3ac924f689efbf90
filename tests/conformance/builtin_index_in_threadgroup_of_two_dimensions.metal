/*
out = zeros("u32", 4, 6)
run("k", out, threads=(6, 4), group_size=(3, 2))
y, x = np.mgrid[0:4, 0:6]
same(out, u32((y % 2) * 3 + x % 3 + 100 * (2 * 2) + 10000 * 6))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device uint* out, uint2 p [[thread_position_in_grid]],
              uint index [[thread_index_in_threadgroup]],
              uint2 groups [[threadgroups_per_grid]], uint2 size [[threads_per_threadgroup]]) {
  out[p.y * 6 + p.x] = index + 100 * groups.x * groups.y + 10000 * size.x * size.y;
}
