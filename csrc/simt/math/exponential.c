// exp, exp2, exp10 and their fast forms. Polynomials: fit_polynomials.py.
#include "math.h"

// p * 2^n in two steps, so that a subnormal result is rounded once. -252 <= n <= 254.
MW_INLINE float scale(float p, i32 n) {
  i32 half = n >> 1;
  return p * power_of_two(half) * power_of_two(n - half);
}

// Argument reduction with a two-part log(2): the first product is exact, so r carries one rounding.
float mw_exp(float x) {
  // Beyond these bounds the result is infinite or rounds to zero. Comparisons let a NaN through.
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  float t = fmaf_(x, 0x1.715476p+0f, MAGIC32);
  float n = t - MAGIC32;
  float r = fmaf_(n, -0x1.62e430p-1f, x);
  r = fmaf_(n, 0x1.05c610p-29f, r);
  float q = fmaf_(0.001381314468f, r, 0.008369418835f);
  q = fmaf_(q, r, 0.04166845679f);
  q = fmaf_(q, r, 0.1666651479f);
  q = fmaf_(q, r, 0.4999999305f);
  float p = fmaf_(q, r * r, r) + 1.0f;
  return scale(p, (i32)(bits32(t) - bits32(MAGIC32)));
}

float mw_exp2(float x) {
  x = x > 129.0f ? 129.0f : x;
  x = x < -151.0f ? -151.0f : x;
  float t = x + MAGIC32;
  float r = x - (t - MAGIC32);
  float q = fmaf_(1.519593367e-5f, r, 0.0001546700861f);
  q = fmaf_(q, r, 0.001333393806f);
  q = fmaf_(q, r, 0.009618037406f);
  q = fmaf_(q, r, 0.0555041036f);
  q = fmaf_(q, r, 0.2402265107f);
  // log(2) in two parts: its rounding would otherwise be the largest error.
  q = fmaf_(q, r, -0x1.05c610p-29f);
  float p = fmaf_(r, 0x1.62e430p-1f, q * r) + 1.0f;
  return scale(p, (i32)(bits32(t) - bits32(MAGIC32)));
}

// 2^z for a double z, as a double. Exponents of float results only: |z| is cut at 1000.
MW_INLINE double exp2_double(double z) {
  z = z > 1000.0 ? 1000.0 : z;
  z = z < -1000.0 ? -1000.0 : z;
  double t = z + MAGIC64;
  double r = z - (t - MAGIC64);
  double q = fma_(1.31787871578592258e-6, r, 0.0000153093801457736891);
  q = fma_(q, r, 0.000154038278248644942);
  q = fma_(q, r, 0.00133334540414276582);
  q = fma_(q, r, 0.00961812861021609015);
  q = fma_(q, r, 0.0555041093608239292);
  q = fma_(q, r, 0.240226506981458794);
  q = fma_(q, r, 0.693147180548028239);
  q = fma_(q, r, 1.0);
  return double_of(bits64(q) + (bits64(t) << 52));
}

float mw_exp10(float x) {
  return (float)exp2_double((double)x * 3.32192809488736234787);
}

// One multiplication, a shorter polynomial and one scaling step; the error grows with |x| as the
// specification allows. Results below 2^-126 are zero.
float mw_fast_exp2(float x) {
  float z = x > 127.99999f ? 127.99999f : x;
  z = z < -126.0f ? -126.0f : z;
  float t = z + MAGIC32;
  float r = z - (t - MAGIC32);
  float q = fmaf_(0.0001535316351f, r, 0.00133991326f);
  q = fmaf_(q, r, 0.009618439814f);
  q = fmaf_(q, r, 0.05550331854f);
  q = fmaf_(q, r, 0.2402264788f);
  q = fmaf_(q, r, 0.6931472031f);
  float p = fmaf_(q, r, 1.0f);
  float y = float_of(bits32(p) + (bits32(t) << 23));
  y = x >= 128.0f ? MW_INF : y;
  return x < -126.0f ? 0.0f : y;
}

float mw_fast_exp(float x) {
  return mw_fast_exp2(x * 0x1.715476p+0f);
}
float mw_fast_exp10(float x) {
  return mw_fast_exp2(x * 0x1.a934f0p+1f);
}
