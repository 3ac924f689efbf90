/*
image = np.arange(64 * 16, dtype=np.float32).reshape(16, 64)
out = texture.empty((16, 64), format="r32float")
run("transpose_tiles", texture(image), out, threads=(64, 16), group_size=(16, 16))
tiles = image.reshape(16, 4, 16).transpose(1, 0, 2)
same(out.numpy(), np.concatenate([tile.T for tile in tiles], axis=1))
sums = zeros("f32", 2)
run("sums", texture(image), sums, threads=64, group_size=32)
same(sums, f32(image[0, :32].sum(), image[0, 32:].sum()))
*/
#include <metal_stdlib>
using namespace metal;

kernel void transpose_tiles(texture2d<float, access::read> in, texture2d<float, access::write> out,
                            ushort2 p [[thread_position_in_threadgroup]],
                            ushort2 g [[threadgroup_position_in_grid]]) {
  threadgroup float tile[16][17];
  tile[p.y][p.x] = in.read(ushort2(g.x * 16 + p.x, p.y)).x;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out.write(float4(tile[p.x][p.y]), ushort2(g.x * 16 + p.x, p.y));
}
kernel void sums(texture2d<float, access::read> in, device float* out,
                 uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]]) {
  float total = simd_sum(in.read(uint2(i, 0)).x);
  if (lane == 0) out[i / 32] = total;
}
