/*
x = f32(0.5, 1, 2, 3)
out = zeros("f32", 5, 4)
run("k", x, out, threads=1)
w = x.astype(np.float64)
close(out, [np.exp(w), np.sqrt(w), np.floor(w), w ** 2.0, np.maximum(w, 1.0)], rtol=5e-7)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant float4& x, device float4* out) {
  out[0] = exp(x);
  out[1] = float4(sqrt(x.xyz), sqrt(x.w));
  out[2] = floor(x);
  out[3] = pow(x, 2.0f);
  out[4] = max(x, 1.0f);
}
