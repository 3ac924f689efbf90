/*
out = zeros("i32", 4)
run("k", i32(7), out, threads=1)
same(out, i32(1, 2, 3, 4))
*/
#include <metal_stdlib>
using namespace metal;

int space_of(device const int*) { return 1; }
int space_of(constant const int*) { return 2; }
int space_of(threadgroup const int*) { return 3; }
int space_of(thread const int*) { return 4; }
kernel void k(constant int& c, device int* out) {
  threadgroup int shared[1];
  int own = 0;
  out[0] = space_of(out);
  out[1] = space_of(&c);
  out[2] = space_of(shared);
  out[3] = space_of(&own);
}
