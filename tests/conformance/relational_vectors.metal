/*
x = f32(1, np.nan, np.inf, -2)
y = f32(2, 1, np.nan, -2)
out = zeros("u8", 4, 4)
run("k", x, y, out.view(np.bool_), threads=1)
n = np.isnan(x) | np.isnan(y)
same(out, u8([np.isnan(x), n, ~n, x == y]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant float4& x, constant float4& y, device bool4* out) {
  out[0] = isnan(x);
  out[1] = isunordered(x, y);
  out[2] = isordered(x, y);
  out[3] = isequal(x, y);
}
