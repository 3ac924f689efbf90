/*
x = np.arange(64, dtype=np.float32)
out = zeros("f32", 64)
run("k", x, out, threads=64, group_size=16)
same(out, x.reshape(4, 16)[:, ::-1].reshape(-1))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]],
              uint t [[thread_position_in_threadgroup]]) {
  threadgroup float shared[16];
  shared[t] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = shared[15 - t];
}
