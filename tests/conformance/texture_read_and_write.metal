/*
image = np.arange(24, dtype=np.float32).reshape(4, 6)
out = texture.empty((4, 6), format="r32float")
sizes = zeros("u32", 4)
run("scale", texture(image), out, sizes, threads=(8, 8))
same(out.numpy(), image * 2)
same(sizes, u32(6, 4, 1, 4))
colours = np.arange(4 * 4 * 4).reshape(4, 4, 4)
halves = texture(colours.astype(np.float16))
swapped = texture.empty((4, 4), format="rgba16float")
run("swap", halves, swapped, threads=(4, 4))
same(swapped.numpy(), colours[..., ::-1].astype(np.float16))
edge = zeros("f32", 4)
run("outside", texture(image), edge, threads=1)
same(edge, f32(0, 0, 0, 0))
*/
#include <metal_stdlib>
using namespace metal;

kernel void scale(texture2d<float, access::read> in [[texture(0)]],
                  texture2d<float, access::write> out [[texture(1)]],
                  device uint* sizes [[buffer(0)]], uint2 p [[thread_position_in_grid]]) {
  if (p.x == 0 && p.y == 0) {
    sizes[0] = in.get_width();
    sizes[1] = in.get_height();
    sizes[2] = in.get_num_mip_levels();
    sizes[3] = out.get_height();
  }
  // Writes beyond the edges of the texture (the grid is larger) are dropped.
  out.write(in.read(p) * 2.0f, p);
}

kernel void swap(texture2d<half, access::read> in, texture2d<half, access::write> out,
                 ushort2 p [[thread_position_in_grid]]) {
  out.write(in.read(p).wzyx, p);
}

kernel void outside(texture2d<float, access::read> in, device float4* out) {
  out[0] = in.read(uint2(6, 0));
}
