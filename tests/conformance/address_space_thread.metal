/*
out = zeros("i32", 4)
run("k", out, threads=4)
same(out, i32(0, 3, 6, 9))
*/
#include <metal_stdlib>
using namespace metal;

void accumulate(thread int& sum, int x) { sum += x; }
void fill(thread int* p, int n, int x) {
  for (int i = 0; i < n; ++i)
    p[i] = x;
}
kernel void k(device int* out, uint i [[thread_position_in_grid]]) {
  int values[3];
  fill(values, 3, int(i));
  int sum = 0;
  for (int j = 0; j < 3; ++j)
    accumulate(sum, values[j]);
  out[i] = sum;
}
