/*
out = np.full(40, -1, np.int32)
run("k", out, u32(37), threads=40, group_size=8)
i = np.arange(40)
same(out, np.where(i < 37, np.where(i % 4 == 0, 0, i * i), -1))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out, constant uint& n, uint i [[thread_position_in_grid]]) {
  if (i >= n)
    return;
  if (i % 4 == 0) {
    out[i] = 0;
    return;
  }
  int sum = 0;
  for (uint j = 0; j < i; ++j)
    sum += int(i);
  out[i] = sum;
}
