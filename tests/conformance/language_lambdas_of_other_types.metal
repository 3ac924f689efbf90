/*
out = zeros("f32", 6)
run("k", out, threads=2)
same(out, f32(3, 2.5, 8, 3.5, 3, 13))
*/
#include <metal_stdlib>
using namespace metal;

template <typename F, typename T>
T twice(F f, T x) {
  return f(f(x));
}
kernel void k(device float* out, uint i [[thread_position_in_grid]]) {
  auto brain = [i](bfloat x) { return bfloat(x + bfloat(i)); };
  auto halved = [](half x, ushort n) { return half(x + 0.25h * half(n)); };
  auto wide = [&out](float4 x, bfloat2 y) -> float { return x.w + float(y.y); };
  if (i == 1) {
    out[0] = float(twice(brain, bfloat(1)));
    out[1] = float(twice([=](half x) { return halved(x, ushort(3 * i)); }, 1.0h));
    out[2] = wide(float4(1, 2, 3, 4), bfloat2(bfloat(3), bfloat(4)));
  } else {
    out[3] = float(brain(bfloat(3.5)));
    out[4] = float([](bfloat4 v) { return v.x + v.w; }(bfloat4(bfloat(1), bfloat(0), bfloat(0), bfloat(2))));
    out[5] = float([](long a, bool b) { return b ? a : -a; }(13, true));
  }
}
