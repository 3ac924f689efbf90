/*
image = f32(1, 2, 3, 4).reshape(1, 4)
places = f32(-0.125, -0.625, 1.125, 1.625, 0.375)
out = zeros("f32", 5)
def sampled(mode, **more):
    out[:] = -1
    run("k", texture(image), sampler(address=mode, **more), out, places, threads=5)
    return out.copy()
same(sampled("clamp_to_edge"), f32(1, 1, 4, 4, 2))
same(sampled("repeat"), f32(4, 2, 1, 3, 2))
same(sampled("mirrored_repeat"), f32(1, 3, 4, 2, 2))
same(sampled("clamp_to_zero"), f32(0, 0, 0, 0, 2))
same(sampled("clamp_to_border", border="opaque_white"), f32(1, 1, 1, 1, 2))
same(sampled(("repeat", "clamp_to_edge")), f32(4, 2, 1, 3, 2))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(texture2d<float> t, sampler s, device float* out, device const float* at,
              uint i [[thread_position_in_grid]]) {
  out[i] = t.sample(s, float2(at[i], 0.5)).x;
}
