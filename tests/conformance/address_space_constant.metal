/*
out = zeros("f32", 4)
run("k", f32(10, 20, 30, 40), f32(3), out, threads=4)
same(out, f32(10, 20, 30, 40) + 3 + f32(2, 4, 6, 8) - f32(3, 4, 5, 6))
*/
#include <metal_stdlib>
using namespace metal;

constant float table[4] = {1, 2, 3, 4};
constant int offset = 2;
float twice(constant float* p, uint i) { return p[i] * 2; }
kernel void k(constant float* x, constant float& y, device float* out,
              uint i [[thread_position_in_grid]]) {
  out[i] = x[i] + y - table[i] + twice(table, i) - (float(i) + 1 + offset) + table[i];
}
