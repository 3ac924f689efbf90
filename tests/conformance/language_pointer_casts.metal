/*
x = f32(1.0, 2.0)
out = zeros("u32", 5)
run("k", x, out, threads=1)
same(out, u32(0x3F800000, 0x40000000, 0x80, 0x4000, 2))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device uint* out) {
  device const uint* words = (device const uint*)x;
  out[0] = words[0];
  out[1] = reinterpret_cast<device const uint2*>(x)->y;
  out[2] = ((device const uchar*)x)[2];
  device const void* raw = x;
  out[3] = static_cast<device const ushort*>(raw)[3];
  out[4] = uint((device const float*)raw + 2 - x);
}
