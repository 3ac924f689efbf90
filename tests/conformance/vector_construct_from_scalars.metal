/*
out = zeros("f32", 16)
run("k", out, threads=1)
same(out, f32(1, 2, 3, 4, 5, 5, 5, 5, 6, 7, 8, 0, 9, 10, 9, 9))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device float4* out) {
  out[0] = float4(1, 2, 3, 4);
  out[1] = float4(5);
  out[2] = 0;
  out[2].xyz = float3(6, 7, 8);
  float2 pair = 9;
  out[3] = float4(9, 10, pair);
}
