/*
a = f32(1, 2, 3, 4)
out = zeros("f32", 4)
run("k", bfloat_bits(a), out, threads=1)
same(out, a * 2 + 1)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const ushort4* a, device float4* out) {
  bfloat4 v = as_type<bfloat4>(a[0]);
  v = v * bfloat(2) + bfloat4(1);
  out[0] = float4(v);
}
