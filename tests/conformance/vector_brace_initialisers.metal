/*
out = zeros("i32", 3, 4)
run("k", out, threads=1)
same(out, i32([[1, 2, 3, 4], [0, 0, 0, 0], [7, 8, 0, 0]]))
*/
#include <metal_stdlib>
using namespace metal;

struct Pair {
  int2 a;
  int2 b;
};
kernel void k(device int4* out) {
  int4 v = {1, 2, 3, 4};
  out[0] = v;
  out[1] = int4{};
  Pair p = {{7, 8}};
  out[2] = int4(p.a, p.b);
}
