/*
stored = np.array([[[0, 51, 255, 128]]], np.uint8)
out = zeros("f32", 8)
run("k", texture(stored, format="rgba8unorm"), texture(stored, format="bgra8unorm"), out, threads=1)
close(out, f32(0, 51, 255, 128, 255, 51, 0, 128) / 255, rtol=1e-7)
run("k", texture(stored, format="rgba8unorm_srgb"), texture(stored, format="rgba8unorm"), out, threads=1)
close(out[:4], f32(0, ((51 / 255 + 0.055) / 1.055) ** 2.4, 1, 128 / 255), rtol=1e-5)
signed = np.array([[[-128, -127, 0, 127]]], np.int8)
run("k", texture(signed, format="rgba8snorm"), texture(stored, format="rgba8unorm"), out, threads=1)
close(out[:4], f32(-1, -1, 0, 1))
made = texture.empty((1, 1), format="rgba8unorm")
run("write", made, threads=1)
same(made.numpy().ravel(), u8(0, 255, 128, 64))
words = np.array([[65535]], np.uint16)
run("k", texture(words, format="r16unorm"), texture(stored, format="rgba8unorm"), out, threads=1)
close(out[:4], f32(1, 0, 0, 1))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(texture2d<float, access::read> a, texture2d<float, access::read> b, device float4* out) {
  out[0] = a.read(uint2(0));
  out[1] = b.read(uint2(0));
}
kernel void write(texture2d<float, access::write> out) {
  out.write(float4(-1, 2, 0.5, 64.2 / 255), uint2(0));
}
