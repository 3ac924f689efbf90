/*
out = zeros("i32", 3)
run("k", out, threads=3)
same(out, i32(5, 18, 31))
*/
#include <metal_stdlib>
using namespace metal;

template <typename F>
int twice(F f, int x) {
  return f(f(x)) ;
}
kernel void k(device int* out, uint i [[thread_position_in_grid]]) {
  int base = 5;
  auto add = [base](int x) { return x + base; };
  auto store = [&](int v) { out[i] = v; };
  store(i == 0 ? add(0) : twice([=](int x) { return x + int(i) * 0 + base; }, int(i) * 13 - 5));
}
