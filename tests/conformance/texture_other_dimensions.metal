/*
line = f32(1, 2, 3, 4)
lines = f32(range(8)).reshape(2, 4)
slices = f32(range(12)).reshape(3, 2, 2)
block = f32(range(24)).reshape(2, 3, 4)
out = zeros("f32", 12)
run("reads", texture(line, kind="1d"), texture(lines, kind="1d_array"),
    texture(slices, kind="2d_array"), texture(block, kind="3d"), texture(line, kind="buffer"), out, threads=1)
same(out, f32(3, 7, 10, 23, 4, 4, 2, 3, 2, 4, 3, 2))
run("samples", texture(line, kind="1d"), texture(slices, kind="2d_array"), texture(block, kind="3d"), out, threads=1)
close(out[:4], f32(2.5, 9.5, 11.5, 12 + 11))
made = texture.empty((2, 3, 4), kind="3d", format="r32float")
layers = texture.empty((3, 2, 2), kind="2d_array", format="r32float")
run("writes", made, layers, threads=(4, 3, 2))
same(made.numpy(), block)
same(layers.numpy(), np.where(np.arange(3)[:, None, None] < 2, f32(range(2))[:, None] * 10 + f32(range(2)), 0) + f32(0, 100, 0)[:, None, None])
*/
#include <metal_stdlib>
using namespace metal;

kernel void reads(texture1d<float, access::read> a, texture1d_array<float, access::read> b,
                  texture2d_array<float, access::read> c, texture3d<float, access::read> d,
                  texture_buffer<float, access::read> e, device float* out) {
  out[0] = a.read(2).x;
  out[1] = b.read(3, 1).x;
  out[2] = c.read(uint2(0, 1), 2).x;
  out[3] = d.read(uint3(3, 2, 1)).x;
  out[4] = e.read(3).x;
  out[5] = a.get_width();
  out[6] = b.get_array_size();
  out[7] = c.get_array_size();
  out[8] = c.get_height();
  out[9] = d.get_width();
  out[10] = d.get_height();
  out[11] = d.get_depth();
}
kernel void samples(texture1d<float> a, texture2d_array<float> b, texture3d<float> c, device float* out) {
  constexpr sampler s(filter::linear);
  out[0] = a.sample(s, 0.5).x;
  out[1] = b.sample(s, float2(0.5, 0.5), 2).x;
  out[2] = c.sample(s, float3(0.5, 0.5, 0.5)).x;
  out[3] = c.sample(s, float3(1, 1, 1)).x;
}
kernel void writes(texture3d<float, access::write> a, texture2d_array<float, access::write> b,
                   uint3 p [[thread_position_in_grid]]) {
  a.write(float4((p.z * 3 + p.y) * 4 + p.x), p);
  b.write(float4(p.y * 10 + p.x + p.z * 100), p.xy, p.z);
}
