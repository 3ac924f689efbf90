/*
x = np.arange(64, dtype=np.float32).reshape(8, 8)
out = zeros("f32", 8, 8)
run("k", x, out, threads=(8, 8), group_size=(4, 4))
same(out, x.T)
*/
#include <metal_stdlib>
using namespace metal;

constant constexpr uint TILE = 4;
kernel void k(device const float* x, device float* out, uint2 g [[threadgroup_position_in_grid]],
              uint2 t [[thread_position_in_threadgroup]]) {
  threadgroup float tile[TILE][TILE + 1];
  tile[t.y][t.x] = x[(g.y * TILE + t.y) * 8 + g.x * TILE + t.x];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[(g.x * TILE + t.y) * 8 + g.y * TILE + t.x] = tile[t.x][t.y];
}
