/*
x = f16(1, 2, 3, 4)
out = zeros("f16", 3, 4)
run("k", x, out, threads=1)
same(out, f16([x * 2, f16(0.5) * x, x + 1]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const half4* x, device half4* out) {
  float two = 2;
  out[0] = x[0] * two;
  out[1] = 0.5f * x[0];
  out[2] = x[0] + 1;
}
