/*
out = zeros("f32", 5, 32)
run("k", out, threads=32, group_size=32)
i = np.arange(32)
x = (i ^ 1).astype(np.float32)
same(out, f32([x, x * 2, x + 0.5, x, x % 2]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = simd_shuffle_xor(half(i), 1);
  out[32 + i] = simd_shuffle_xor(float4(0, i * 2, 0, 0), 1).y;
  out[64 + i] = float(simd_shuffle_xor(bfloat(i + 0.5f), 1));
  out[96 + i] = simd_shuffle_xor(uchar(i), 1);
  out[128 + i] = simd_shuffle_xor(bool(i % 2), 1);
}
