/*
out = zeros("f32", 3, 8, 8)
run("k", out, threads=32, group_size=32)
same(out, f32([np.full((8, 8), 2.5), 3 * np.eye(8), np.zeros((8, 8))]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device float* out) {
  simdgroup_float8x8 a = make_filled_simdgroup_matrix<float, 8, 8>(2.5f);
  simdgroup_matrix<float, 8, 8> b(3.0f);
  simdgroup_float8x8 c = simdgroup_float8x8(0);
  simdgroup_store(a, out, 8);
  simdgroup_store(b, out + 64, 8);
  simdgroup_store(c, out + 128, 8);
}
