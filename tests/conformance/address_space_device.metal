/*
x = f32(1, 2, 3, 4)
out = zeros("f32", 4)
run("k", x, out, threads=4)
same(out, x + 1)
*/
#include <metal_stdlib>
using namespace metal;

void add_one(device const float* from, device float* to, uint i) { to[i] = from[i] + 1; }
kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  device float* target = out;
  add_one(x, target, i);
}
