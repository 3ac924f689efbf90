/*
x = np.random.default_rng(1).normal(size=(8, 100)).astype(np.float32)
out = zeros("f32", 8, 100)
run("k", x, out, u32(100), threadgroups=8, group_size=64)
e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
close(out, e / e.sum(1, keepdims=True), rtol=2e-6)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, constant uint& n,
              uint row [[threadgroup_position_in_grid]],
              uint t [[thread_position_in_threadgroup]],
              uint size [[threads_per_threadgroup]], uint lane [[thread_index_in_simdgroup]],
              uint group [[simdgroup_index_in_threadgroup]]) {
  threadgroup float partial[32];
  x += row * n;
  out += row * n;
  float most = -INFINITY;
  for (uint i = t; i < n; i += size)
    most = max(most, x[i]);
  most = simd_max(most);
  if (lane == 0)
    partial[group] = most;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  most = max(partial[0], partial[1]);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float sum = 0;
  for (uint i = t; i < n; i += size)
    sum += exp(x[i] - most);
  sum = simd_sum(sum);
  if (lane == 0)
    partial[group] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  sum = partial[0] + partial[1];
  for (uint i = t; i < n; i += size)
    out[i] = exp(x[i] - most) / sum;
}
