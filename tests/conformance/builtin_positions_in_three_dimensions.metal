/*
out = zeros("u32", 2 * 3 * 4, 4)
run("k", out, threads=(4, 3, 2), group_size=(2, 3, 1))
z, y, x = np.mgrid[0:2, 0:3, 0:4]
same(out, u32(np.stack([x, y, z, (x // 2) + 10 * (y // 3) + 100 * z], -1).reshape(-1, 4)))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device uint4* out, uint3 p [[thread_position_in_grid]],
              uint3 size [[threads_per_grid]], uint3 group [[threadgroup_position_in_grid]]) {
  out[(p.z * size.y + p.y) * size.x + p.x] =
      uint4(p, group.x + 10 * group.y + 100 * group.z);
}
