/*
import math
out = zeros("f32", 9)
ints = zeros("i64", 5)
run("k", out, ints, threads=1)
same(out, f32(math.pi, math.e, math.pi / 2, 1 / math.pi, math.sqrt(2), math.log(2), np.inf,
              np.finfo(np.float32).max, np.nan))
same(ints, i64(2**31 - 1, -2**31, 2**32 - 1, -32768, 255))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device float* out, device long* ints) {
  out[0] = M_PI_F;
  out[1] = M_E_F;
  out[2] = M_PI_2_F;
  out[3] = M_1_PI_F;
  out[4] = M_SQRT2_F;
  out[5] = M_LN2_F;
  out[6] = INFINITY;
  out[7] = MAXFLOAT;
  out[8] = NAN;
  ints[0] = INT_MAX;
  ints[1] = INT_MIN;
  ints[2] = UINT_MAX;
  ints[3] = SHRT_MIN;
  ints[4] = UCHAR_MAX;
}
