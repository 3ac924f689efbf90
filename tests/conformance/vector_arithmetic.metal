/*
a = f32(1.5, -2, 8, 0.25)
b = f32(2, 4, -0.5, 8)
out = zeros("f32", 7, 4)
run("k", a, b, out, threads=1)
same(out, f32([a + b, a - b, a * b, a / b, -a, a * 2 + 1, 1 - b]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant float4& a, constant float4& b, device float4* out) {
  out[0] = a + b;
  out[1] = a - b;
  out[2] = a * b;
  out[3] = a / b;
  out[4] = -a;
  out[5] = a * 2 + 1;
  out[6] = 1 - b;
}
