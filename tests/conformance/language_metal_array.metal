/*
out = zeros("i32", 4)
run("k", out, threads=1)
same(out, i32(6, 3, 30, 12))
*/
#include <metal_stdlib>
using namespace metal;

constant constexpr array<int, 3> weights = {10, 20, 30};
array<int, 3> doubled(array<int, 3> a) {
  for (auto& x : a)
    x *= 2;
  return a;
}
kernel void k(device int* out) {
  metal::array<int, 3> a = {1, 2, 3};
  out[0] = a[0] + a[1] + a[2];
  out[1] = int(a.size());
  out[2] = weights[2];
  auto b = doubled(a);
  out[3] = b[0] + b[1] + b[2];
}
