/*
a = i32(0, 1, 0, 5)
b = i32(0, 0, 2, 3)
out = zeros("i32", 6, 4)
run("k", a, b, out, threads=1)
x, y = a != 0, b != 0
same(out, i32([x & y, x | y, ~x, x ^ y, [1, 0, 0, 0], [1, 1, 1, 0]]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(constant int4& a, constant int4& b, device int4* out) {
  bool4 x = a != 0, y = b != 0;
  out[0] = int4(x && y);
  out[1] = int4(x || y);
  out[2] = int4(!x);
  out[3] = int4(x ^ y);
  out[4] = int4(any(x), all(x), any(bool2(false)), all(x.yx));
  out[5] = int4(any(y), all(y.zw), all(bool3(true)), any(bool4(false)));
}
