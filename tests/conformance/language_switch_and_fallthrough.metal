/*
out = zeros("i32", 6)
run("k", out, threads=6)
same(out, i32(1, 12, 2, 30, -1, 30))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out, uint i [[thread_position_in_grid]]) {
  int x = 0;
  switch (i) {
    case 0:
      x = 1;
      break;
    case 1:
      x = 10;
    case 2:
      x += 2;
      break;
    case 3:
    case 5:
      x = 30;
      break;
    default:
      x = -1;
  }
  out[i] = x;
}
