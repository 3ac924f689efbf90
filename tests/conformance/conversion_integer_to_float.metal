/*
x = i32(16777217, -5, 2147483647, 0)
out = zeros("f32", 4)
h = zeros("f16", 4)
run("k", x, out, h, threads=4)
same(out, f32(16777216, -5, 2147483648, 0))
same(h, f16(np.inf, -5, np.inf, 0))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const int* x, device float* out, device half* h,
              uint i [[thread_position_in_grid]]) {
  out[i] = x[i];
  h[i] = half(float(x[i]));
}
