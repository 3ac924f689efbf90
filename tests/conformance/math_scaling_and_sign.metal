/*
x = f32(1.5, -2, 0.25, -0.0)
out = zeros("f32", 5, 4)
run("k", x, out, threads=4)
same(out, f32([x * 8, np.abs(x), np.copysign(x, -1), np.nextafter(x, np.float32(10)), np.maximum(x - 1, 0)]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = ldexp(x[i], 3);
  out[4 + i] = fabs(x[i]);
  out[8 + i] = copysign(x[i], -1.0f);
  out[12 + i] = nextafter(x[i], 10.0f);
  out[16 + i] = fdim(x[i], 1.0f);
}
