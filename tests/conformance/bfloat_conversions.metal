/*
x = f32(1.00390625, 1.01171875, -3.14159, 1e38, 0.0, np.inf)
out = zeros("u16", 6)
back = zeros("f32", 6)
run("k", x, out, back, threads=6)
same(out, bfloat_bits(x))
same(back, (bfloat_bits(x).astype(np.uint32) << 16).view(np.float32))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device ushort* out, device float* back,
              uint i [[thread_position_in_grid]]) {
  bfloat b = bfloat(x[i]);
  out[i] = as_type<ushort>(b);
  back[i] = float(b);
}
