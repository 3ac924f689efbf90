/*
out = zeros("f32", 2, 3)
run("k", out, threads=2)
same(out, f32([[30, 0, 16], [42, 1, 25]]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device float* out, uint i [[thread_position_in_grid]]) {
  float values[4] = {1, 2, 3, 4};
  float table[2][3] = {{1, 2, 3}, {4, 5, 6}};
  float sum = 0;
  for (uint j = 0; j < 4; ++j) {
    values[j] *= values[j];
    sum += values[j];
  }
  values[i] = i;
  out[i * 3] = sum + i * (table[1][1] + table[1][2] + table[0][0]);
  out[i * 3 + 1] = values[i];
  thread float* tail = values + 3;
  out[i * 3 + 2] = *tail + 9 * i;
}
