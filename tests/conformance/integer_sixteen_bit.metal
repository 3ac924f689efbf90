/*
a = i16(32767, -32768, 1000)
out = zeros("i16", 3)
wide = zeros("i32", 3)
run("k", a, out, wide, threads=3)
same(out, i16(-32768, -32767, 1001))
same(wide, i32(a) * 3)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const short* a, device int16_t* out, device int* wide,
              uint i [[thread_position_in_grid]]) {
  out[i] = short(a[i] + 1);
  wide[i] = a[i] * 3;
}
