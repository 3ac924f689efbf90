/*
a = (np.arange(64) % 7 - 3).astype(np.float16).reshape(8, 8)
b = (np.arange(64) % 5 - 2).astype(np.float16).reshape(8, 8)
h = zeros("f16", 8, 8)
f = zeros("f32", 8, 8)
run("k", a, b, h, f, threads=32, group_size=32)
product = a.astype(np.float32) @ b.astype(np.float32)
same(h, f16(product))
same(f, product)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const half* a, device const half* b, device half* h, device float* f) {
  simdgroup_half8x8 x, y, z;
  simdgroup_load(x, a, 8);
  simdgroup_load(y, b, 8);
  simdgroup_multiply(z, x, y);
  simdgroup_store(z, h, 8);
  simdgroup_float8x8 w(0.0f);
  simdgroup_multiply_accumulate(w, x, y, w);
  simdgroup_store(w, f, 8);
}
