/*
x = f32(1.9, -1.9, 3e9, -3e9, np.nan, 300, -5, 1e20)
s = zeros("i32", 8)
u = zeros("u32", 8)
run("k", x, s, u, threads=8)
same(s, i32(1, -1, 2147483647, -2147483648, 0, 300, -5, 2147483647))
same(u, u32(1, 0, 3000000000, 0, 0, 300, 0, 4294967295))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device int* s, device uint* u,
              uint i [[thread_position_in_grid]]) {
  s[i] = int(x[i]);
  u[i] = static_cast<uint>(x[i]);
}
