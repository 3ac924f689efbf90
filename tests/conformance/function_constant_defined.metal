/*
out = zeros("f32", 3)
run("k", out, threads=1)
same(out, f32(0, -1, 7))
run("k", out, threads=1, options={"constants": {"scale": 3.0}})
same(out, f32(1, 3, 7))
run("k", out, threads=1, options={"constants": {0: 0.0, 1: 5}})
same(out, f32(1, 0, 5))
*/
#include <metal_stdlib>
using namespace metal;

constant float scale [[function_constant(0)]];
constant int count [[function_constant(1)]];
constant bool has_scale = is_function_constant_defined(scale);
constant int real_count = is_function_constant_defined(count) ? count : 7;

kernel void k(device float* out) {
  out[0] = has_scale;
  out[1] = is_function_constant_defined(scale) ? scale : -1.0f;
  out[2] = real_count;
}
