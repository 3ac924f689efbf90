/*
a, b = f32(1, 2, 3, 4), f32(10, 20, 30, 40)
out = zeros("f32", 3, 4)
ints = zeros("i32", 2)
run("k", a, b, out, ints, threads=1)
same(out, f32([np.where(b > 25, b, a), b, [1, 20, 3, 40]]))
same(ints, i32(5, 6))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant float4& a, constant float4& b, device float4* out, device int* ints) {
  out[0] = select(a, b, b > 25);
  out[1] = select(a, b, true);
  out[2] = select(a, b, bool4(false, true, false, true));
  ints[0] = select(5, 6, a.x > 1);
  ints[1] = select(5, 6, b.x > 1);
}
