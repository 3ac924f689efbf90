/*
counts = np.array([[0, 255, 7], [1, 2, 3]], np.uint8)
out = texture.empty((2, 3), format="r8uint")
run("add", texture(counts), out, threads=(3, 2))
same(out.numpy(), np.array([[10, 255, 17], [11, 12, 13]], np.uint8))
shorts = np.array([[-32768, 32767, 5, -5]], np.int16).reshape(1, 1, 4)
signed = texture.empty((1, 1), format="rgba16sint")
run("negate", texture(shorts), signed, threads=1)
same(signed.numpy().ravel(), i16(32767, -32767, -5, 5))
wide = texture.empty((1, 2), format="rg32uint")
run("wide", wide, threads=1)
same(wide.numpy().ravel(), u32(4000000000, 1, 0, 0))
*/
#include <metal_stdlib>
using namespace metal;

kernel void add(texture2d<uint, access::read> in, texture2d<uint, access::write> out,
                uint2 p [[thread_position_in_grid]]) {
  out.write(in.read(p) + 10, p); // 265 saturates
}
kernel void negate(texture2d<short, access::read> in, texture2d<int, access::write> out) {
  short4 v = in.read(uint2(0));
  out.write(-int4(v), uint2(0));
}
kernel void wide(texture2d<uint, access::write> out) {
  out.write(uint4(4000000000u, 1, 2, 3), uint2(0));
}
