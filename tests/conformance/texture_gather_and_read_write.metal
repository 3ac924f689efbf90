/*
image = np.stack([np.arange(9, dtype=np.float32).reshape(3, 3), np.full((3, 3), 7, np.float32)], axis=-1)
out = zeros("f32", 2, 4)
run("k", texture(image), out, threads=1)
same(out, f32(4, 5, 2, 1, 7, 7, 7, 7).reshape(2, 4))
both = texture(f32(1, 2, 3, 4).reshape(2, 2))
run("square", both, threads=(2, 2))
same(both.numpy(), f32(2, 5, 10, 17).reshape(2, 2))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(texture2d<float> t, device float4* out) {
  constexpr sampler s(coord::pixel);
  out[0] = t.gather(s, float2(2, 1));
  out[1] = t.gather(s, float2(2, 1), int2(0), component::y);
}
kernel void square(texture2d<float, access::read_write> t, uint2 p [[thread_position_in_grid]]) {
  float4 v = t.read(p);
  t.write(v * v, p);
  t.fence();
  t.write(t.read(p) + 1, p);
}
