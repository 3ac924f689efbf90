/*
x = zeros("i32", 64)
out = zeros("i32", 64)
run("k", x, out, threads=64, group_size=64)
same(out, np.arange(64)[::-1] * 2)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* x, device int* out, uint t [[thread_position_in_threadgroup]]) {
  x[t] = int(t) * 2;
  threadgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup);
  out[t] = x[63 - t];
}
