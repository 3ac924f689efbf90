/*
x = f32(5.5, -5.5, 7, 0.375)
out = zeros("f32", 4, 4)
e = zeros("i32", 2, 4)
run("k", x, out, e, threads=4)
m, exponent = np.frexp(x)
part, whole = np.modf(x)
same(out, f32([np.fmod(x, np.float32(2)), m, part, whole]))
same(e, i32([exponent, exponent - 1]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device float* out, device int* e,
              uint i [[thread_position_in_grid]]) {
  out[i] = fmod(x[i], 2.0f);
  int exponent;
  out[4 + i] = frexp(x[i], exponent);
  e[i] = exponent;
  e[4 + i] = ilogb(x[i]);
  float whole;
  out[8 + i] = modf(x[i], whole);
  out[12 + i] = whole;
}
