/*
x = f32(1, 2, 3, 4)
out = zeros("f32", 9, 4)
run("k", x, out, threads=1)
same(out[:8], f32([[1, 2, 3, 4], [1, 2, 9, 8], [9, 1, 2, 8], [9, 8, 1, 2], [1, 2, 3, 9], [9, 1, 2, 3],
                   [1, 2, 9, 9], [9, 1, 2, 9]]))
same(out[8], f32(1, 2, 3, 4))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float4* x, device float4* out) {
  float2 a = x[0].xy;
  float3 b = x[0].xyz;
  out[0] = float4(a, x[0].zw);
  out[1] = float4(a, 9, 8);
  out[2] = float4(9, a, 8);
  out[3] = float4(9, 8, a);
  out[4] = float4(b, 9);
  out[5] = float4(9, b);
  out[6] = float4(float3(a, 9), 9);
  out[7] = float4(float3(9, a), 9);
  out[8] = float4(x[0]);
}
