/*
x = f32(0.1, 1, 2.5, 10)
out = zeros("f32", 6, 4)
run("k", x, out, threads=4)
w = x.astype(np.float64)
close(out[:3], [np.exp(w), np.log(w), np.sin(w)], rtol=5e-7, atol=1e-7)
close(out[3:], [np.exp(w), np.log(w), np.cos(w)], rtol=1e-3, atol=1e-4)
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = precise::exp(x[i]);
  out[4 + i] = metal::precise::log(x[i]);
  out[8 + i] = metal::precise::sin(x[i]);
  out[12 + i] = fast::exp(x[i]);
  out[16 + i] = metal::fast::log(x[i]);
  out[20 + i] = metal::fast::cos(x[i]);
}
