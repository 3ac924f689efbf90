/*
x = np.arange(64, dtype=np.float32)
out = zeros("f32", 4)
run("k", x, out, threads=4)
same(out, x.reshape(4, 16).sum(1) * 2)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  float sum = 0;
#pragma unroll
  for (int j = 0; j < 16; ++j)
    sum += x[i * 16 + j];
#pragma clang loop unroll(full)
  for (int j = 0; j < 8; ++j)
    sum += x[i * 16 + j];
#pragma unroll(4)
  for (int j = 8; j < 16; ++j)
    sum += x[i * 16 + j];
  out[i] = sum;
}
