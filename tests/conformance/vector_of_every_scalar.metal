/*
out = zeros("i64", 12)
run("k", out, threads=1)
same(out, [6] * 12)
*/
#include <metal_stdlib>
using namespace metal;

template <typename V>
long total(V v) {
  return long(v.x) + long(v.y) + long(v.z);
}
kernel void k(device long* out) {
  out[0] = total(char3(1, 2, 3));
  out[1] = total(uchar3(1, 2, 3));
  out[2] = total(short3(1, 2, 3));
  out[3] = total(ushort3(1, 2, 3));
  out[4] = total(int3(1, 2, 3));
  out[5] = total(uint3(1, 2, 3));
  out[6] = total(long3(1, 2, 3));
  out[7] = total(ulong3(1, 2, 3));
  out[8] = total(half3(1, 2, 3));
  out[9] = total(bfloat3(1, 2, 3));
  out[10] = total(float3(1, 2, 3));
  out[11] = total(bool3(true)) * 2;
}
