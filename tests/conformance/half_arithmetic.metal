/*
a = f16(1.5, 1000, 65504, 1e-4)
b = f16(0.1, 0.3, 2, 3)
out = zeros("f16", 4, 4)
run("k", a, b, out, threads=4)
same(out, f16([a + b, a - b, a * b, a / b]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const half* a, device const half* b, device half* out,
              uint i [[thread_position_in_grid]]) {
  out[i] = a[i] + b[i];
  out[4 + i] = a[i] - b[i];
  out[8 + i] = a[i] * b[i];
  out[12 + i] = a[i] / b[i];
}
