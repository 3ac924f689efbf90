/*
out = zeros("f32", 32, 2)
stored = zeros("f32", 8, 8)
run("k", np.arange(64, dtype=np.float32), out, stored, threads=32, group_size=32)
lane = np.arange(32)
row = (lane // 4 & 4) + lane // 2 % 4
column = (lane // 4 & 2) * 2 + lane % 2 * 2
same(out, f32(np.stack([row * 8 + column, row * 8 + column + 1], -1)))
expected = np.zeros((8, 8))
expected[row, column] = lane
expected[row, column + 1] = -lane
same(stored, f32(expected) + 0.0)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float2* out, device float* stored,
              uint lane [[thread_index_in_simdgroup]]) {
  simdgroup_float8x8 m;
  simdgroup_load(m, x, 8);
  out[lane] = m.thread_elements();
  m.thread_elements()[0] = lane;
  thread auto& e = m.thread_elements();
  e[1] = 0.0f - lane;
  simdgroup_store(m, stored, 8);
}
