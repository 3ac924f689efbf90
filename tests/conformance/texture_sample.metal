/*
image = np.arange(12, dtype=np.float32).reshape(3, 4)
at = f32(0.5, 0.5, 0.0, 0.0, 0.375, 0.5, 1.0, 1.0).reshape(4, 2)
out = zeros("f32", 4, 4)
run("k", texture(image), sampler(), out, at, threads=4)
same(out[:, 0], f32(6, 0, 5, 11))
run("k", texture(image), sampler(filter="linear"), out, at, threads=4)
close(out[:, 0], f32(5.5, 0, 5, 11))
same(out[:, 3], f32(1, 1, 1, 1))
pixels = f32(1.5, 1.5, 2.0, 1.5, 3.9, 0.1, -5, 9).reshape(4, 2)
run("k", texture(image), sampler(filter="linear", coordinates="pixel"), out, pixels, threads=4)
close(out[:, 0], f32(5, 5.5, 3, 8))
run("constants", texture(image), out, threads=1)
close(out[0], f32(5.5, 6, 1, 9))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(texture2d<float> t [[texture(0)]], sampler s [[sampler(0)]], device float4* out,
              device const float2* at, uint i [[thread_position_in_grid]]) {
  out[i] = t.sample(s, at[i]);
}

constexpr sampler smooth(coord::normalized, address::clamp_to_edge, filter::linear);
float at(texture2d<float, access::sample> t, sampler s, float2 place) { return t.sample(s, place).x; }

kernel void constants(texture2d<float> t, device float4* out) {
  constexpr sampler nearest(coord::pixel, filter::nearest);
  out[0] = float4(at(t, smooth, float2(0.5)), at(t, nearest, float2(2.5, 1.5)),
                  t.sample(nearest, float2(0.5), int2(1, 0)).x,
                  t.sample(nearest, float2(1.5, 2.5), level(0)).x);
}
