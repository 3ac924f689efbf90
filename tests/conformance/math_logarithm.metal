/*
x = f32(1, 2, 10, 0.5, 1e-20, 1e20, 3.25, 1.0001)
out = zeros("f32", 3, 8)
run("k", x, out, threads=8)
w = x.astype(np.float64)
close(out, [np.log(w), np.log2(w), np.log10(w)], rtol=3e-7, atol=1e-10)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = log(x[i]);
  out[8 + i] = log2(x[i]);
  out[16 + i] = log10(x[i]);
}
