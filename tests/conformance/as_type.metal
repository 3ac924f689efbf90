/*
x = f32(1.0, -2.5, 0.0, np.inf)
bits = zeros("u32", 4)
halves = zeros("u16", 8)
out = zeros("f32", 4)
run("k", x, bits, halves, out, threads=4)
same(bits, x.view(np.uint32))
same(halves, x.view(np.uint16))
same(out, x)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device uint* bits, device ushort2* halves, device float* out,
              uint i [[thread_position_in_grid]]) {
  bits[i] = as_type<uint>(x[i]);
  halves[i] = as_type<ushort2>(x[i]);
  out[i] = as_type<float>(as_type<uint2>(ulong(bits[i]) | (7ul << 32)).x);
}
