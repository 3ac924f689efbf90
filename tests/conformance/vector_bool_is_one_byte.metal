/*
x = u8(1, 0, 1, 1)
out = zeros("u8", 4)
run("k", x.view(np.bool_), out.view(np.bool_), threads=1)
same(out, u8(0, 1, 0, 0))
*/
#include <metal_stdlib>
using namespace metal;

static_assert(sizeof(bool4) == 4 && sizeof(bool2) == 2, "");
kernel void k(device const bool4* x, device bool4* out) {
  bool4 v = x[0];
  out[0] = !v;
  out[0].w = v.y;
}
