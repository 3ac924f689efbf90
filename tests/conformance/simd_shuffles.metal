/*
out = zeros("i32", 6, 32)
run("k", out, threads=32, group_size=32)
i = np.arange(32)
x = i * 3
same(out[0], x[(i * 5) % 32])
same(out[1], x[i ^ 7])
same(out[2, :28], x[4:])
same(out[3, 4:], x[:28])
same(out[4], np.full(32, x[9]))
same(out[5], np.roll(x, 3))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out, uint i [[thread_position_in_grid]]) {
  int x = int(i) * 3;
  out[i] = simd_shuffle(x, ushort(i * 5 % 32));
  out[32 + i] = simd_shuffle_xor(x, 7);
  out[64 + i] = simd_shuffle_down(x, 4);
  out[96 + i] = simd_shuffle_up(x, 4);
  out[128 + i] = simd_broadcast(x, 9);
  out[160 + i] = simd_shuffle_rotate_up(x, 3);
}
