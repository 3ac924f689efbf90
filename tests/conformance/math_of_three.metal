/*
a, b, c = f32(1, 5, 3), f32(2, 4, 1), f32(3, 6, 2)
out = zeros("f32", 3, 3)
run("k", a, b, c, out, threads=3)
s = np.sort(np.stack([a, b, c]), axis=0)
same(out, s)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* a, device const float* b, device const float* c,
              device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = min3(a[i], b[i], c[i]);
  out[3 + i] = median3(a[i], b[i], c[i]);
  out[6 + i] = max3(a[i], b[i], c[i]);
}
