/*
x = f16(0.5, 1, 2, 3.5)
out = zeros("f16", 5, 4)
run("k", x, out, threads=4)
w = x.astype(np.float64)
close(out, [np.exp(w), np.log(w), np.sqrt(w), np.sin(w), np.tanh(w)], rtol=1e-3)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const half* x, device half* out, uint i [[thread_position_in_grid]]) {
  out[i] = exp(x[i]);
  out[4 + i] = log(x[i]);
  out[8 + i] = sqrt(x[i]);
  out[12 + i] = sin(x[i]);
  out[16 + i] = tanh(x[i]);
}
