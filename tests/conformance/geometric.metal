/*
a, b = f32(1, 2, 3), f32(4, -5, 6)
out = zeros("f32", 5)
v = zeros("f32", 3, 4)
run("k", np.append(a, a[:1]), np.append(b, a[:1]), out, v, threads=1)
d = np.dot(a, b)
close(out, [d, np.linalg.norm(a), np.linalg.norm(a - b), np.dot(a, a), 32 - 10 - 10 + 0])
close(v[:, :3], [np.cross(a, b), a / np.linalg.norm(a), a - 2 * np.dot(b, a) * b])
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant float3& a, constant float3& b, device float* out, device float3* v) {
  out[0] = dot(a, b);
  out[1] = length(a);
  out[2] = distance(a, b);
  out[3] = length_squared(a);
  out[4] = dot(a, b);
  v[0] = cross(a, b);
  v[1] = normalize(a);
  v[2] = reflect(a, b);
}
