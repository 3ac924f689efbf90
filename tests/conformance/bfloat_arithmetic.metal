/*
a = f32(1.5, 3.0, -100, 1)
b = f32(0.25, 0.1015625, 7, 3)
out = zeros("u16", 3, 4)
run("k", bfloat_bits(a), bfloat_bits(b), out, threads=4)
same(out, u16([bfloat_bits(a + b), bfloat_bits(a * b), bfloat_bits(a / b)]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const ushort* a, device const ushort* b, device ushort* out,
              uint i [[thread_position_in_grid]]) {
  bfloat x = as_type<bfloat>(a[i]), y = as_type<bfloat>(b[i]);
  out[i] = as_type<ushort>(x + y);
  out[4 + i] = as_type<ushort>(x * y);
  out[8 + i] = as_type<ushort>(x / y);
}
