/*
out = zeros("f16", 4)
run("k", out, threads=1)
same(out, f16(1.5, 0.1, -2, 65504))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device half* out) {
  out[0] = 1.5h;
  out[1] = 0.1h;
  out[2] = -2.0H;
  out[3] = HALF_MAX;
}
