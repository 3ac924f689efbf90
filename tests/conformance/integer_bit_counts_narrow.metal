/*
out = zeros("i32", 8)
run("k", out, threads=1)
same(out, i32(7, 3, 8, 16, 11, 64, 40, 2))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out) {
  out[0] = clz(uchar(1));
  out[1] = ctz(short(8));
  out[2] = popcount(uchar(255));
  out[3] = clz(ushort(0));
  out[4] = clz(short(16));
  out[5] = clz(ulong(0));
  out[6] = ctz(ulong(1) << 40);
  out[7] = popcount(ulong(1) << 40 | 1);
}
