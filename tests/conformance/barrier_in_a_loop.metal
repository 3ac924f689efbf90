/*
out = zeros("i32", 32)
run("k", out, threads=32, group_size=32)
v = np.arange(32)
for step in range(5):
    v = v + np.roll(v, -1)
same(out, v)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out, uint t [[thread_position_in_threadgroup]]) {
  threadgroup int a[32];
  int own = int(t);
  for (int step = 0; step < 5; ++step) {
    a[t] = own;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    own += a[(t + 1) & 31];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  out[t] = own;
}
