/*
out = zeros("i32", 8)
run("k", out, threads=1)
same(out, i32(2147483647, -2147483648, 127, 0, 255, 5, 6, 10))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out) {
  out[0] = addsat(2147483647, 5);
  out[1] = subsat(-2147483647, 5);
  out[2] = addsat(char(100), char(100));
  out[3] = subsat(uchar(3), uchar(5));
  out[4] = addsat(uchar(250), uchar(50));
  out[5] = hadd(4, 7);
  out[6] = rhadd(4, 7);
  out[7] = absdiff(-4, 6);
}
