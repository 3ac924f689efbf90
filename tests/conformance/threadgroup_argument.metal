/*
x = np.arange(32, dtype=np.int32)
out = zeros("i32", 32)
run("k", x, out, threads=32, group_size=8, threadgroup_memory={0: 32})
same(out, np.roll(x.reshape(4, 8), -1, axis=1).reshape(-1))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const int* x, device int* out, threadgroup int* shared [[threadgroup(0)]],
              uint i [[thread_position_in_grid]], uint t [[thread_position_in_threadgroup]]) {
  shared[t] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = shared[(t + 1) % 8];
}
