/*
out = zeros("u32", 3)
run("k", out, threads=1)
same(out, u32(0x3F800000, 0x03020100, 0xFF020100))
*/
#include <metal_stdlib>
using namespace metal;

union Bits {
  float f;
  uint u;
  uchar b[4];
};
kernel void k(device uint* out) {
  Bits x;
  x.f = 1.0f;
  out[0] = x.u;
  for (uint i = 0; i < 4; ++i)
    x.b[i] = uchar(i);
  out[1] = x.u;
  x.b[3] = 255;
  out[2] = x.u;
}
