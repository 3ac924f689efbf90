/*
out = zeros("i32", 16)
run("k", out, threads=16, group_size=16)
same(out, [120] * 16)
*/
#include <metal_stdlib>
using namespace metal;

template <typename T>
T total(threadgroup T* scratch, T x, uint t, uint n) {
  scratch[t] = x;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  T sum = 0;
  for (uint i = 0; i < n; ++i)
    sum += scratch[i];
  threadgroup_barrier(mem_flags::mem_none);
  return sum;
}
kernel void k(device int* out, uint t [[thread_position_in_threadgroup]]) {
  threadgroup int scratch[16];
  out[t] = total(scratch, int(t), t, 16);
}
