/*
out = zeros("f32", 4, 32)
run("k", out, threads=32, group_size=32)
i = np.arange(32)
x = i.astype(np.float32)
same(out[0], np.concatenate([x[5:], x[:5] + 100]))
same(out[1], np.concatenate([x[27:] + 100, x[:27]]))
s = x.reshape(4, 8)
f = s + 100
same(out[2], np.concatenate([s[:, 2:], f[:, :2]], 1).reshape(-1))
same(out[3], np.concatenate([f[:, 6:], s[:, :6]], 1).reshape(-1))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device float* out, uint i [[thread_position_in_grid]]) {
  float x = i;
  out[i] = simd_shuffle_and_fill_down(x, x + 100, 5);
  out[32 + i] = simd_shuffle_and_fill_up(x, x + 100, 5);
  out[64 + i] = simd_shuffle_and_fill_down(x, x + 100, 2, 8);
  out[96 + i] = simd_shuffle_and_fill_up(x, x + 100, 2, 8);
}
