/*
out = f32([[1, 2, 3, 4]] * 4)
run("k", out, threads=1)
same(out, f32([[2, 4, 3, 4], [1, 2, 3, 6], [11, 2, 13, 4], [0, 3, 3, 4]]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device float4* out) {
  out[0].xy *= 2;
  out[1].w += 2;
  out[2].xz += float2(10);
  out[3].x--;
  out[3].y++;
}
