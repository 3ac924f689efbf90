/*
a = f32(1, 2, 3, np.nan)
b = f32(2, 2, 2, 2)
out = zeros("u8", 6, 4)
run("k", a, b, out.view(np.bool_), threads=1)
same(out, u8([a < b, a <= b, a > b, a >= b, a == b, a != b]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant float4& a, constant float4& b, device bool4* out) {
  out[0] = a < b;
  out[1] = a <= b;
  out[2] = a > b;
  out[3] = a >= b;
  out[4] = a == b;
  out[5] = a != b;
}
