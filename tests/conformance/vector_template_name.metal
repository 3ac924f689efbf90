/*
out = zeros("i32", 8)
run("k", out, threads=1)
same(out, i32(3, 6, 9, 12, 4, 16, 2, 8))
*/
#include <metal_stdlib>
using namespace metal;

template <typename T, int N>
vec<T, N> triple(vec<T, N> x) {
  return x * T(3);
}
template <typename T>
int bytes() {
  return sizeof(T);
}
kernel void k(device int4* out) {
  out[0] = triple(vec<int, 4>(1, 2, 3, 4));
  out[1] = int4(bytes<vec<half, 2>>(), bytes<metal::vec<float, 3>>(), bytes<vec<uchar, 2>>(),
                bytes<vec<ushort, 4>>());
}
