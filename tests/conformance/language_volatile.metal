/*
x = i32(5, 6)
out = zeros("i32", 2)
run("k", x, out, threads=2)
same(out, i32(10, 12))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const volatile int* x, volatile device int* out,
              uint i [[thread_position_in_grid]]) {
  volatile int a = x[i];
  threadgroup volatile int shared[2];
  shared[i] = a;
  out[i] = a + shared[i];
}
