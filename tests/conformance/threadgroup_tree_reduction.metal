/*
x = (np.arange(512) % 7).astype(np.float32)
out = zeros("f32", 2)
run("k", x, out, threads=512, group_size=256)
same(out, x.reshape(2, 256).sum(1))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]],
              uint t [[thread_position_in_threadgroup]],
              uint size [[threads_per_threadgroup]], uint g [[threadgroup_position_in_grid]]) {
  threadgroup float shared[256];
  shared[t] = x[i];
  for (uint stride = size / 2; stride > 0; stride /= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (t < stride)
      shared[t] += shared[t + stride];
  }
  if (t == 0)
    out[g] = shared[0];
}
