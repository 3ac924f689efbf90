/*
m = f32([[1, 2, 3], [4, 5, 6], [7, 8, 10]])
columns = zeros("f32", 3, 4)
columns[:, :3] = m.T
x = f32(1, -2, 3, 0)
out = zeros("f32", 3, 4)
run("k", columns, x, out, threads=1)
close(out[:, :3], [m @ x[:3], x[:3] @ m, m.T @ x[:3]])
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant float3x3& m, constant float3& x, device float3* out) {
  out[0] = m * x;
  out[1] = x * m;
  out[2] = transpose(m) * x;
}
