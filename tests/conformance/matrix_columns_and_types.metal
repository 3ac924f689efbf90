/*
out = zeros("f32", 4)
run("k", out, threads=1)
same(out, f32(5, 6, 60, 3))
*/
#include <metal_stdlib>
using namespace metal;

static_assert(sizeof(float2x3) == 32 && sizeof(half2x2) == 8 && sizeof(float3x2) == 24, "");
kernel void k(device float* out) {
  float2x3 m(float3(1, 2, 3), float3(4, 5, 6));
  out[0] = m[1][1];
  half2x2 h(1, 2, 3, 4);
  h[1] *= 2;
  out[1] = float2x2(h)[1].x;
  m[1] *= 10;
  out[2] = m[1].z;
  out[3] = transpose(m)[2][0];
}
