/*
out = i32([[6, 9, 12, 15]] * 9)
run("k", out, threads=1)
x = i32(6, 9, 12, 15)
same(out, i32([x + 2, x - 2, x * 2, x // 2, x % 4, x & 6, x | 1, x ^ 3, x << 1]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int4* out) {
  out[0] += 2;
  out[1] -= int4(2);
  out[2] *= 2;
  out[3] /= 2;
  out[4] %= 4;
  out[5] &= 6;
  out[6] |= 1;
  out[7] ^= 3;
  out[8] <<= 1;
}
