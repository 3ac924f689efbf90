/*
out = zeros("f32", 9)
ints = zeros("i64", 8)
run("k", out, ints, threads=1)
f = np.finfo(np.float32)
h = np.finfo(np.float16)
same(out, f32(f.max, f.tiny, f.eps, -f.max, np.inf, h.max, h.tiny, h.eps, float.fromhex("0x1.fep127")))
same(ints, i64(-2**31, 2**31 - 1, 2**32 - 1, -128, 255, -32768, -2**63, 2**63 - 1))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device float* out, device long* ints) {
  out[0] = numeric_limits<float>::max();
  out[1] = metal::numeric_limits<float>::min();
  out[2] = numeric_limits<float>::epsilon();
  out[3] = numeric_limits<float>::lowest();
  out[4] = numeric_limits<float>::infinity();
  out[5] = numeric_limits<half>::max();
  out[6] = numeric_limits<half>::min();
  out[7] = numeric_limits<half>::epsilon();
  out[8] = numeric_limits<bfloat>::max();
  ints[0] = numeric_limits<int>::min();
  ints[1] = numeric_limits<int>::max();
  ints[2] = numeric_limits<uint>::max();
  ints[3] = numeric_limits<char>::lowest();
  ints[4] = numeric_limits<uchar>::max();
  ints[5] = numeric_limits<short>::min();
  ints[6] = numeric_limits<long>::min();
  ints[7] = numeric_limits<int64_t>::max();
}
