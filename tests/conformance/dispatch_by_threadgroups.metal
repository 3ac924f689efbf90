/*
out = zeros("i32", 12)
run("k", out, threadgroups=3, group_size=4)
same(out, np.arange(12) // 4)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out, uint i [[thread_position_in_grid]],
              uint g [[threadgroup_position_in_grid]]) {
  out[i] = int(g);
}
