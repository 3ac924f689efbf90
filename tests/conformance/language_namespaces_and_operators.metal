/*
out = zeros("f32", 3)
run("k", out, threads=1)
same(out, f32(-1, 7, 1))
*/
#include <metal_stdlib>
using namespace metal;

namespace math {
namespace detail {
constant float half_turn = 180;
}
struct complex {
  float re, im;
};
complex operator*(complex a, complex b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
bool operator==(complex a, complex b) { return a.re == b.re && a.im == b.im; }
}  // namespace math
using math::complex;
typedef complex number;
kernel void k(device float* out) {
  number a{1, 2}, b = {1, 1.5f};
  complex c = a * b;
  out[0] = c.re - 1 + (math::detail::half_turn == 180 ? 2 : 0);
  out[1] = c.im * 2;
  out[2] = a == a && !(a == b);
}
