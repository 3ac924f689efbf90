/*
x = (np.arange(32) * 77 % 101).astype(np.int32)
out = zeros("i64", 7)
run("k", x, out, threads=32, group_size=32)
same(out, i64(x.sum(), x.max(), x.min(), np.bitwise_or.reduce(x), np.bitwise_and.reduce(x | 64), np.bitwise_xor.reduce(x), 32 * 40000))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const int* x, device long* out, uint i [[thread_position_in_grid]]) {
  int sum = simd_sum(x[i]), most = simd_max(x[i]), least = simd_min(x[i]);
  int any = simd_or(x[i]), all = simd_and(x[i] | 64), odd = simd_xor(x[i]);
  uint large = simd_sum(40000u);
  if (i == 0) {
    out[0] = sum;
    out[1] = most;
    out[2] = least;
    out[3] = any;
    out[4] = all;
    out[5] = odd;
    out[6] = large;
  }
}
