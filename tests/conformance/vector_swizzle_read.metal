/*
x = f32(1, 2, 3, 4)
out = zeros("f32", 7, 4)
run("k", x, out, threads=1)
same(out, f32([[4, 3, 2, 1], [1, 1, 1, 1], [3, 2, 1, 0], [2, 4, 0, 0], [1, 2, 3, 4], [4, 1, 0, 0], [2, 3, 2, 3]]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant float4& x, device float4* out) {
  out[0] = x.wzyx;
  out[1] = x.xxxx;
  out[2] = float4(x.bgr, 0);
  out[3] = float4(x.yw, 0, 0);
  out[4] = x.rgba;
  out[5] = float4(x.wx, 0, 0);
  out[6] = x.yzyz;
}
