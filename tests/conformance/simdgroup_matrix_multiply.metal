/*
a = (np.arange(64) % 7 - 3).astype(np.float32).reshape(8, 8)
b = (np.arange(64) % 5 - 2).astype(np.float32).reshape(8, 8)
out = zeros("f32", 2, 8, 8)
run("k", a, b, out, threads=32, group_size=32)
same(out, f32([a @ b, a @ b + a]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* a, device const float* b, device float* out) {
  simdgroup_float8x8 x, y, z;
  simdgroup_load(x, a, 8);
  simdgroup_load(y, b, 8);
  simdgroup_multiply(z, x, y);
  simdgroup_store(z, out, 8);
  simdgroup_multiply_accumulate(z, x, y, x);
  simdgroup_store(z, out + 64, 8);
}
