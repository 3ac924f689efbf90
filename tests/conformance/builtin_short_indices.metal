/*
out = zeros("i32", 8)
run("k", out, threads=8, group_size=4)
same(out, np.arange(8) % 4 + 10 * (np.arange(8) // 4))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out, ushort3 local [[thread_position_in_threadgroup]],
              ushort3 group [[threadgroup_position_in_grid]],
              ushort3 p [[thread_position_in_grid]]) {
  out[p.x] = local.x + 10 * group.x;
}
