/*
out = zeros("i32", 40)
run("k", out, threads=40, group_size=40)
same(out, 780 + np.arange(40))
*/
#include <metal_stdlib>
#include <metal_logging>
using namespace metal;

constant os_log logger("com.example", "kernels");
kernel void k(device int* out, uint i [[thread_index_in_threadgroup]]) {
  threadgroup int sums[40];
  sums[i] = i;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  int total = 0;
  for (int j = 0; j < 40; ++j) total += sums[j];
  if (i == 39) logger.log_debug("the sum is %d of %v2f", total, float2(1, 2));
  out[i] = total + i;
}
