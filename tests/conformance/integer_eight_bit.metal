/*
a = i8(127, -128, 100, -1)
b = u8(255, 128, 200, 1)
out = zeros("i8", 4)
uout = zeros("u8", 4)
run("k", a, b, out, uout, threads=4)
same(out, i8(-128, -127, 101, 0))
same(uout, u8(0, 129, 201, 2))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const char* a, device const uint8_t* b, device int8_t* out, device uchar* uout,
              uint i [[thread_position_in_grid]]) {
  out[i] = a[i] + 1;
  uout[i] = b[i] + 1;
}
