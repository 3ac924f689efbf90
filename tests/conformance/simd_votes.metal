/*
out = zeros("u64", 6)
run("k", out, threads=32, group_size=32)
bits = sum(1 << i for i in range(32) if i % 3 == 0)
same(out, u64(bits, 0, 1, 1, 0, 0xFFFFFFFF))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device ulong* out, uint i [[thread_position_in_grid]]) {
  simd_vote vote = simd_ballot(i % 3 == 0);
  bool none = simd_all(i < 31), some = simd_any(i == 31);
  simd_vote all = simd_ballot(true);
  if (i == 0) {
    out[0] = static_cast<ulong>(vote);
    out[1] = none;
    out[2] = some;
    out[3] = vote.any();
    out[4] = vote.all();
    out[5] = (ulong)(simd_vote::vote_t)all;
  }
}
