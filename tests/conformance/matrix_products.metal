/*
a = np.arange(16, dtype=np.float32).reshape(4, 4) - 5
b = (np.arange(16, dtype=np.float32).reshape(4, 4) % 5) + np.eye(4, dtype=np.float32)
out = zeros("f32", 2, 4, 4)
d = zeros("f32", 3)
run("k", a.T.copy(), b.T.copy(), out, d, threads=1)
close(out[0].T, a @ b)
close(out[1].T, 2 * a + b - np.eye(4))
close(d, [np.linalg.det(b.astype(np.float64)), -2, 26], rtol=1e-5)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant float4x4& a, constant float4x4& b, device float4x4* out, device float* d) {
  out[0] = a * b;
  float4x4 c = a * 2;
  c += b;
  c -= float4x4(1);
  out[1] = c;
  d[0] = determinant(b);
  d[1] = determinant(float2x2(float2(1, 2), float2(3, 4)));
  float3x3 e(2.0f);
  e[0][1] = 3;
  e[2].x = 1;
  e[1].z = 6;
  d[2] = determinant(e);
}
