/*
rng = np.random.default_rng(2)
a = rng.integers(-3, 4, (20, 13)).astype(np.float32)
b = rng.integers(-3, 4, (13, 18)).astype(np.float32)
out = zeros("f32", 20, 18)
run("k", a, b, out, u32(20, 18, 13, 0), threadgroups=(3, 3), group_size=(8, 8))
same(out, a @ b)
*/
#include <metal_stdlib>
using namespace metal;

constant constexpr uint T = 8;
kernel void k(device const float* a, device const float* b, device float* out,
              constant uint3& shape, uint2 t [[thread_position_in_threadgroup]],
              uint2 g [[threadgroup_position_in_grid]]) {
  threadgroup float x[T][T], y[T][T];
  uint row = g.y * T + t.y, column = g.x * T + t.x;
  float sum = 0;
  for (uint k = 0; k < shape.z; k += T) {
    x[t.y][t.x] = row < shape.x && k + t.x < shape.z ? a[row * shape.z + k + t.x] : 0;
    y[t.y][t.x] = k + t.y < shape.z && column < shape.y ? b[(k + t.y) * shape.y + column] : 0;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint j = 0; j < T; ++j)
      sum += x[t.y][j] * y[j][t.x];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  if (row < shape.x && column < shape.y)
    out[row * shape.y + column] = sum;
}
