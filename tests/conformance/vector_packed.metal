/*
x = f32([[1, 2, 3], [4, 5, 6]])
out = zeros("f32", 3, 3)
run("k", x, out, threads=1)
same(out, f32([[5, 7, 9], [2, 4, 6], [6, 5, 40]]))
*/
#include <metal_stdlib>
using namespace metal;

static_assert(sizeof(packed_float3) == 12 && alignof(packed_float3) == 4, "");
static_assert(sizeof(packed_half4) == 8 && alignof(packed_half4) == 2, "");
kernel void k(device const packed_float3* x, device packed_float3* out) {
  float3 a = x[0], b = float3(x[1]);
  out[0] = a + b;
  out[1] = x[0] * 2.0f;
  out[2] = b.zyx;
  out[2].z *= 10;
}
