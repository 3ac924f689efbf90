/*
out = f32([[1, 2, 3, 4]] * 6)
run("k", out, threads=1)
same(out, f32([[9, 8, 3, 4], [1, 9, 3, 8], [7, 8, 9, 4], [4, 3, 2, 1], [1, 2, 5, 4], [6, 2, 3, 5]]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device float4* out) {
  out[0].xy = float2(9, 8);
  out[1].yw = float2(9, 8);
  float4 v = out[2];
  v.rgb = float3(7, 8, 9);
  out[2] = v;
  v = out[3];
  v.wzyx = v;
  out[3] = v;
  out[4].b = 5;
  out[5].wx = float2(5, 6);
}
