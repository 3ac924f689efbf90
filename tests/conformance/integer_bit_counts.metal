/*
x = u32(0, 1, 0x80000000, 0x00F0, 0xFFFFFFFF, 12)
out = zeros("u32", 4, 6)
run("k", x, out, threads=6)
text = [format(int(v), "032b") for v in x]
same(out[0], u32([t.count("1") for t in text]))
same(out[1], u32([len(t) - len(t.lstrip("0")) for t in text]))
same(out[2], u32([len(t) - len(t.rstrip("0")) for t in text]))
same(out[3], u32([int(t[::-1], 2) for t in text]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const uint* x, device uint* out, uint i [[thread_position_in_grid]]) {
  out[i] = popcount(x[i]);
  out[6 + i] = clz(x[i]);
  out[12 + i] = ctz(x[i]);
  out[18 + i] = reverse_bits(x[i]);
}
