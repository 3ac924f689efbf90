/*
a, b = i32(1, 2), i32(10, 20)
out = zeros("i32", 2)
run("explicit_indices", out, a, b, threads=2)
same(out, a - b)
run("implied_indices", a, b, out, threads=2)
same(out, b - a)
*/
#include <metal_stdlib>
using namespace metal;

kernel void explicit_indices(device const int* b [[buffer(2)]], device const int* a [[buffer(1)]],
                             device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  out[i] = a[i] - b[i];
}
kernel void implied_indices(device const int* a, device const int* b, device int* out,
                            uint i [[thread_position_in_grid]]) {
  out[i] = b[i] - a[i];
}
