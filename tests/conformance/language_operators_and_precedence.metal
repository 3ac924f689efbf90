/*
out = zeros("i32", 8)
run("k", out, threads=1)
same(out, i32(14, 3, -2, 5, 1, 6, 12, 4))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out) {
  int a = 2, b = 3;
  out[0] = a + b * 4;
  out[1] = (a | b) & ~0x10;
  out[2] = -a;
  out[3] = a < b ? 5 : 6;
  out[4] = a && !(b < a) || false;
  out[5] = (a++, a *= 2);
  out[6] = a << 1;
  out[7] = sizeof(a);
}
