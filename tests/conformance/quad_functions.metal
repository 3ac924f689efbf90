/*
out = zeros("i32", 6, 32)
run("k", out, threads=32, group_size=32)
i = np.arange(32)
q = i.reshape(8, 4)
same(out[0], np.repeat(q.sum(1), 4))
same(out[1], np.repeat(q.max(1), 4))
same(out[2], i ^ 1)
same(out[3], np.repeat(q[:, 2], 4))
same(out[4], np.cumsum(q, 1).reshape(-1))
same(out[5], np.repeat(q[:, 0] == 4, 4))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out, uint i [[thread_position_in_grid]]) {
  int x = int(i);
  out[i] = quad_sum(x);
  out[32 + i] = quad_max(x);
  out[64 + i] = quad_shuffle_xor(x, 1);
  out[96 + i] = quad_broadcast(x, 2);
  out[128 + i] = quad_prefix_inclusive_sum(x);
  out[160 + i] = quad_any(x == 4) && !quad_all(x == 4);
}
