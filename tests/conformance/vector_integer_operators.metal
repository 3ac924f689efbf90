/*
a = i32(7, -7, 100, 1)
b = i32(3, 2, 7, 4)
out = zeros("i32", 10, 4)
run("k", a, b, out, threads=1)
same(out[0], i32(2, -3, 14, 0))
same(out[1], i32(1, -1, 2, 1))
same(out[2:], i32([a & b, a | b, a ^ b, ~a, a << 2, a >> 1, a + 1, -a]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant int4& a, constant int4& b, device int4* out) {
  out[0] = a / b;
  out[1] = a % b;
  out[2] = a & b;
  out[3] = a | b;
  out[4] = a ^ b;
  out[5] = ~a;
  out[6] = a << 2;
  out[7] = a >> 1;
  int4 c = a;
  c++;
  out[8] = c;
  out[9] = 0 - a;
}
