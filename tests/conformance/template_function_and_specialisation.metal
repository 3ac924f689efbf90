/*
out = zeros("i32", 4)
run("k", out, threads=1)
same(out, i32(4, 100, 2, 9))
*/
#include <metal_stdlib>
using namespace metal;

template <typename T>
int size_or_mark(T) {
  return sizeof(T);
}
template <>
int size_or_mark<half>(half) {
  return 100;
}
template <int N>
struct Power {
  static constexpr constant int value = 3 * Power<N - 1>::value;
};
template <>
struct Power<0> {
  static constexpr constant int value = 1;
};
kernel void k(device int* out) {
  out[0] = size_or_mark(1.0f);
  out[1] = size_or_mark(1.0h);
  out[2] = size_or_mark(short(1));
  out[3] = Power<2>::value;
}
