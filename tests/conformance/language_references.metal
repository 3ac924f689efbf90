/*
x = i32(1, 2, 3)
run("k", x, i32(10), threads=3)
same(x, i32(11, 22, 33))
*/
#include <metal_stdlib>
using namespace metal;

void bump(device int& target, constant int& by, thread const int& times) { target += by * times; }
kernel void k(device int* x, constant int& by, uint i [[thread_position_in_grid]]) {
  device int& mine = x[i];
  int times = int(i) + 1;
  bump(mine, by, times);
}
