/*
a = i32(7, -7, 7, -7, -2147483648)
b = i32(2, 2, -2, -2, 2)
out = zeros("i32", 2, 5)
run("k", a, b, out, threads=5)
same(out, i32([[3, -3, -3, 3, -1073741824], [1, -1, 1, -1, 0]]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const int* a, device const int* b, device int* out,
              uint i [[thread_position_in_grid]]) {
  out[i] = a[i] / b[i];
  out[5 + i] = a[i] % b[i];
}
