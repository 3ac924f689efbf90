/*
x = f32(1 + 2.0**-12, 3)
y = f32(1 - 2.0**-12, 5)
z = f32(-1, 7)
out = zeros("f32", 2)
run("k", x, y, z, out, threads=2)
same(out, f32(-2.0**-24, 22))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device const float* y, device const float* z,
              device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = fma(x[i], y[i], z[i]);
}
