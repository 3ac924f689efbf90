/*
x = f32(1.9, -1.9, 250.5, 3.0)
out = zeros("i32", 4, 4)
half = zeros("f16", 4)
run("k", x, out, half, threads=1)
same(out, i32([[1, -1, 250, 3], [1, 255, 250, 3], [1, 1, 1, 1], [1, 0, 250, 3]]))
same(half, f16(x))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant float4& x, device int4* out, device half4& h) {
  out[0] = int4(x);
  out[1] = int4(uchar4(int4(x)));
  out[2] = int4(bool4(x));
  out[3] = int4(uint4(max(x, 0.0f)));
  h = half4(x);
}
