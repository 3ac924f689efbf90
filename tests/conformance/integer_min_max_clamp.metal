/*
a, b = i32(-5, 7, 3), i32(2, -9, 3)
out = zeros("i32", 4, 3)
u = zeros("u32", 3)
run("k", a, b, out, u, threads=3)
same(out, i32([np.minimum(a, b), np.maximum(a, b), np.clip(a, -1, 5), np.abs(a)]))
same(u, np.minimum(a.view(np.uint32), 5))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const int* a, device const int* b, device int* out, device uint* u,
              uint i [[thread_position_in_grid]]) {
  out[i] = min(a[i], b[i]);
  out[3 + i] = max(a[i], b[i]);
  out[6 + i] = clamp(a[i], -1, 5);
  out[9 + i] = abs(a[i]);
  u[i] = min(uint(a[i]), 5u);
}
