// log, log2, log10 and pow. Polynomials: fit_polynomials.py.
#include "math.h"

// x = m * 2^e with m in [sqrt(1/2), sqrt(2)), for positive finite x, subnormal ones included.
typedef struct {
  float m;
  i32 e;
} Split;

MW_INLINE Split split(float x) {
  _Bool tiny = x < 0x1p-126f;
  u32 b = bits32(tiny ? x * 0x1p23f : x);
  i32 e = (i32)(b - 0x3f3504f3u) >> 23;
  Split s = {float_of(b - ((u32)e << 23)), e - (tiny ? 23 : 0)};
  return s;
}

// What a logarithm returns where its argument is not positive and finite.
MW_INLINE float log_result(float x, float y) {
  y = x == MW_INF ? x : y;
  y = x == 0.0f ? -MW_INF : y;
  return x >= 0.0f ? y : MW_NAN;
}

float mw_log(float x) {
  Split s = split(x);
  float f = s.m - 1.0f;
  float e = (float)s.e;
  float z = f * f;
  float p = fmaf_(-0.07634501388f, f, 0.1276157588f);
  p = fmaf_(p, f, -0.1316017974f);
  p = fmaf_(p, f, 0.1420175801f);
  p = fmaf_(p, f, -0.1662335766f);
  p = fmaf_(p, f, 0.2000122689f);
  p = fmaf_(p, f, -0.2500082102f);
  p = fmaf_(p, f, 0.3333333171f);
  // log(m) = f - z/2 + f*z*p, with the low part of e*log(2) added to the small terms.
  float small = fmaf_(f * z, p, fmaf_(-0.5f, z, e * -0x1.05c610p-29f));
  return log_result(x, fmaf_(e, 0x1.62e430p-1f, f + small));
}

// log(1 + f) for f in [sqrt(1/2)-1, sqrt(2)-1], relative error below 2^-38.
MW_INLINE double log1p_reduced(double f) {
  double p = fma_(-0.0483395017707056888, f, 0.0918503523993971869);
  p = fma_(p, f, -0.0933179379005665634);
  p = fma_(p, f, 0.0903001757478269734);
  p = fma_(p, f, -0.0987725220333336801);
  p = fma_(p, f, 0.111053730260195088);
  p = fma_(p, f, -0.125069225748921781);
  p = fma_(p, f, 0.142862571369094599);
  p = fma_(p, f, -0.166664767477709815);
  p = fma_(p, f, 0.199999852735724351);
  p = fma_(p, f, -0.2500000228154653);
  p = fma_(p, f, 0.333333334608708073);
  p = fma_(p, f, -0.499999999918948205);
  p = fma_(p, f, 0.999999999998343961);
  return p * f;
}

// log2 of a positive finite float.
MW_INLINE double log2_double(float x) {
  Split s = split(x);
  return fma_(log1p_reduced((double)s.m - 1.0), 1.44269504088896340736, (double)s.e);
}

float mw_log2(float x) {
  return log_result(x, (float)log2_double(x));
}

float mw_log10(float x) {
  return log_result(x, (float)(log2_double(x) * 0.301029995663981195214));
}

// |x|^y and then the sign and the special cases of C's pow, all as selects.
float mw_pow(float x, float y) {
  float a = abs_(x);
  double l = log2_double(a);
  l = a == 0.0f ? -(double)MW_INF : l;
  l = a == MW_INF ? (double)MW_INF : l;
  float r = (float)exp2_double((double)y * l);
  // An odd integer is one whose half is not an integer; above 2^24 every float is even.
  float half = y * 0.5f;
  _Bool is_integer = y == __builtin_floorf(y);
  _Bool is_odd = is_integer && half != __builtin_floorf(half);
  _Bool negative = (bits32(x) >> 31) != 0;
  r = negative && is_odd ? -r : r;
  r = negative && a != 0.0f && a != MW_INF && !is_integer ? MW_NAN : r;
  r = a != a || y != y ? MW_NAN : r;
  r = a == 1.0f && abs_(y) == MW_INF ? 1.0f : r;
  return x == 1.0f || y == 0.0f ? 1.0f : r;
}

// pow for x >= 0 only: NaN below, and NaN where the power is undefined (0^0, inf^0, 1^inf).
float mw_powr(float x, float y) {
  float r = mw_pow(abs_(x), y);
  _Bool undefined = x < 0.0f || x != x || y != y || (y == 0.0f && (x == 0.0f || x == MW_INF)) ||
                    (x == 1.0f && abs_(y) == MW_INF);
  return undefined ? MW_NAN : r;
}
