/*
out = zeros("i32", 64)
run("k", out, threads=64, group_size=64)
i = np.arange(64)
same(out, (i // 32) * 32 + (31 - i % 32))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out, uint t [[thread_position_in_threadgroup]],
              uint lane [[thread_index_in_simdgroup]]) {
  threadgroup int a[64];
  a[t] = int(t);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  out[t] = a[t - lane + 31 - lane];
}
