/*
x = zeros("f32", 3, 4)
x[:, :3] = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
out = zeros("f32", 3, 4)
run("k", x, out, threads=3)
same(out[:, :3], x[:, :3] * 2)
*/
#include <metal_stdlib>
using namespace metal;

static_assert(sizeof(float3) == 16 && alignof(float3) == 16, "");
static_assert(sizeof(half3) == 8 && sizeof(uchar3) == 4 && sizeof(long3) == 32, "");
kernel void k(device const float3* x, device float3* out, uint i [[thread_position_in_grid]]) {
  out[i] = x[i] * 2;
}
