/*
x = u32(0xABCD1234)
out = zeros("u32", 3)
s = zeros("i32", 2)
run("k", x, out, s, threads=1)
same(out, u32(0x123, 0xABCDF0F4, 0x0ABCD123 | 0x40000000))
same(s, i32(-84, 0x12))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant uint& x, device uint* out, device int* s) {
  out[0] = extract_bits(x, 4, 12);
  out[1] = insert_bits(x, 0xFF0Fu, 4, 12);
  out[1] = insert_bits(x, 0xF0Fu, 4, 12);
  out[2] = rotate(x, 28u);
  s[0] = extract_bits(int(x), 24, 7) - 127;
  s[0] = extract_bits(int(x), 24, 8) + 1;
  s[1] = extract_bits(int(x), 8, 8);
}
