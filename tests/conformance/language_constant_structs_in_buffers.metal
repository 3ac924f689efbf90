/*
raw = np.zeros(32, np.uint8)
raw[0:4] = u32(3).view(np.uint8)
raw[8:12] = f32(0.5).view(np.uint8)
raw[16:28] = f32(1, 2, 3).view(np.uint8)
out = zeros("f32", 4)
run("k", raw, out, threads=4)
same(out, f32(0.5, 1.0, 1.5, 0))
*/
#include <metal_stdlib>
using namespace metal;

struct Params {
  uint n;
  uchar flag;
  float scale;
  float3 v;
};
static_assert(sizeof(Params) == 32, "");
kernel void k(constant Params& p, device float* out, uint i [[thread_position_in_grid]]) {
  if (i >= p.n || p.flag)
    return;
  out[i] = p.scale * p.v[i];
}
