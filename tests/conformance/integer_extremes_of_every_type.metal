/*
out = zeros("i64", 8)
run("k", out, threads=1)
same(out, i64(-3, 250, -300, 60000, -70000, 4000000000, -5000000000, 9))
*/
#include <metal_stdlib>
using namespace metal;

template <typename T>
T smallest(T a, T b) {
  return metal::min(a, metal::max(b, a));
}
kernel void k(device long* out) {
  out[0] = smallest<char>(-3, 5);
  out[1] = smallest<uchar>(250, 5);
  out[2] = smallest<short>(-300, 5);
  out[3] = smallest<ushort>(60000, 5);
  out[4] = smallest<int>(-70000, 5);
  out[5] = smallest<uint>(4000000000u, 5);
  out[6] = smallest<long>(-5000000000l, 5);
  out[7] = max(ulong(9), ulong(5));
}
