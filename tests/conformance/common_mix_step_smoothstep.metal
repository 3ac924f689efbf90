/*
x = f32(0, 0.25, 0.5, 1)
out = zeros("f32", 3, 4)
run("k", x, out, threads=4)
t = np.clip((x - np.float32(0.25)) / np.float32(0.5), 0, 1)
close(out, [2 + 8 * x, x >= 0.5, t * t * (3 - 2 * t)])
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = mix(2.0f, 10.0f, x[i]);
  out[4 + i] = step(0.5f, x[i]);
  out[8 + i] = smoothstep(0.25f, 0.75f, x[i]);
}
