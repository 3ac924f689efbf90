/*
a = i64(2**40 + 1, -2**62, 7)
out = zeros("i64", 3)
u = zeros("u64", 3)
run("k", a, out, u, threads=3)
wrapped = (-2**62 * 5 + 2**63) % 2**64 - 2**63
same(out, i64(5 * (2**40 + 1), wrapped, 35))
same(u, u64([int(v) % 2**64 // 3 for v in a]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const long* a, device int64_t* out, device ulong* u,
              uint i [[thread_position_in_grid]]) {
  out[i] = long(ulong(a[i]) * 5ul);
  u[i] = ulong(a[i]) / 3;
}
