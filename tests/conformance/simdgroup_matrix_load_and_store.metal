/*
x = np.arange(16 * 20, dtype=np.float32).reshape(16, 20)
out = zeros("f32", 2, 8, 8)
wide = zeros("f32", 16, 20)
run("k", x, out, wide, threads=32, group_size=32)
same(out[0], x[:8, :8].T)
same(out[1], x[3:11, 5:13])
expected = np.zeros_like(wide)
expected[4:12, 6:14] = x[3:11, 5:13].T
same(wide, expected)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, device float* wide) {
  simdgroup_float8x8 m;
  simdgroup_load(m, x, 20, ulong2(0, 0), true);
  simdgroup_store(m, out, 8);
  simdgroup_load(m, x, 20, ulong2(5, 3));
  simdgroup_store(m, out + 64);
  simdgroup_store(m, wide, 20, ulong2(6, 4), true);
}
