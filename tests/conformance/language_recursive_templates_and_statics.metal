/*
out = zeros("i32", 2)
run("k", out, threads=1)
same(out, i32(120, 55))
*/
#include <metal_stdlib>
using namespace metal;

constexpr int factorial(int n) { return n <= 1 ? 1 : n * factorial(n - 1); }
template <int N>
constexpr int fibonacci() {
  if constexpr (N < 2)
    return N;
  else
    return fibonacci<N - 1>() + fibonacci<N - 2>();
}
constant constexpr int table_size = factorial(5);
static_assert(table_size == 120, "");
kernel void k(device int* out) {
  out[0] = table_size;
  out[1] = fibonacci<10>();
}
