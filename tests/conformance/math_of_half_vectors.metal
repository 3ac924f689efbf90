/*
x = f16(0.5, 1, 2, 3)
out = zeros("f16", 3, 4)
run("k", x, out, threads=1)
w = x.astype(np.float64)
close(out, [np.exp(w), 1 / np.sqrt(w), w * w + 1], rtol=1e-3)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const half4& x, device half4* out) {
  out[0] = exp(x);
  out[1] = rsqrt(x);
  out[2] = fma(x, x, half4(1));
}
