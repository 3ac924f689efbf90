/*
x = np.arange(64, dtype=np.float32).reshape(8, 8)
out = zeros("f32", 8, 8)
run("k", x, out, threads=32, group_size=32)
same(out, 2 * x)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[8 * 9];
  for (uint i = t; i < 64; i += 32)
    tile[i / 8 * 9 + i % 8] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_float8x8 a, two(2.0f), r;
  simdgroup_load(a, tile, 9);
  simdgroup_multiply(r, a, two);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_store(r, tile, 9);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint i = t; i < 64; i += 32)
    out[i] = tile[i / 8 * 9 + i % 8];
}
