/*
out = zeros("f32", 4)
run("k", out, threads=4, options={"constants": {0: 3, "negate": True}})
same(out, f32(0, -3, -6, -9) + 0.0)
run("k", out, threads=4, options={"constants": {"factor": 5, 1: False}})
same(out, f32(0, 5, 10, 15))
*/
#include <metal_stdlib>
using namespace metal;

constant int factor [[function_constant(0)]];
constant bool negate [[function_constant(1)]];
kernel void k(device float* out, uint i [[thread_position_in_grid]]) {
  float x = float(factor) * i;
  out[i] = negate ? 0 - x : x;
}
