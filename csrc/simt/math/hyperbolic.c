// sinh, cosh, tanh and their inverses. Polynomials: fit_polynomials.py.
#include "math.h"

// e^x - 1 in double with full relative accuracy, |x| cut at 200.
MW_INLINE double expm1_double(double x) {
  x = x > 200.0 ? 200.0 : x;
  x = x < -200.0 ? -200.0 : x;
  double t = fma_(x, 1.44269504088896340736, MAGIC64);
  double n = t - MAGIC64;
  double r = fma_(n, -0.693147180559945309417, x);
  double q = fma_(2.75572949593764667e-6, r, 0.0000248775394599911672);
  q = fma_(q, r, 0.000198413756267091922);
  q = fma_(q, r, 0.00138888192152953528);
  q = fma_(q, r, 0.0083333332254491904);
  q = fma_(q, r, 0.0416666669031170928);
  q = fma_(q, r, 0.166666666669635709);
  q = fma_(q, r, 0.499999999997837023);
  q = fma_(q, r, 0.99999999999998791);
  double p = q * r;
  double s = double_of((bits64(t) + 1023) << 52);
  return fma_(s, p, s - 1.0);
}

// log(1 + y) in double for y >= 0. While 1 + y needs no scaling, y itself enters the polynomial: no
// rounding of the sum is seen where it would matter.
MW_INLINE double log1p_double(double y) {
  double u = 1.0 + y;
  u64 b = bits64(u) - 0x3fe6a09e667f3bcdull;
  i32 e = (i32)(b >> 52);
  double m = double_of(bits64(u) - ((b >> 52) << 52));
  double f = e == 0 ? y : m - 1.0;
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
  return fma_((double)e, 0.693147180559945309417, p * f);
}

// e^y - 1 for 0 <= y <= 20 as high + low, in float.
typedef struct {
  float high, low;
} Pair;

MW_INLINE Pair expm1_pair(float y) {
  float t = fmaf_(y, 0x1.715476p+0f, MAGIC32);
  float n = t - MAGIC32;
  float r = fmaf_(n, -0x1.62e430p-1f, y);
  r = fmaf_(n, 0x1.05c610p-29f, r);
  float q = fmaf_(0.0001984595928f, r, 0.00139416526f);
  q = fmaf_(q, r, 0.008333391634f);
  q = fmaf_(q, r, 0.04166634871f);
  q = fmaf_(q, r, 0.1666666635f);
  q = fmaf_(q, r, 0.5000000047f);
  float tail = q * (r * r);
  float p = r + tail;
  float s = float_of((bits32(t) + 127) << 23);
  float m = fmaf_(s, p, s - 1.0f);
  Pair pair = {m, fmaf_(s, (r - p) + tail, fmaf_(s, p, (s - 1.0f) - m))};
  return pair;
}

// tanh x = m / (m + 2) with m = e^(2|x|) - 1; from 9.02 on the result is 1. The quotient is
// corrected by its remainder and by what m and m + 2 lost, which brings it from 2.4 to 1 unit in
// the last place.
float mw_tanh(float x) {
  float a = abs_(x) > 10.0f ? 10.0f : abs_(x);
  Pair m = expm1_pair(a + a);
  float d = m.high + 2.0f;
  float lost = m.high - (d - 2.0f);
  float inverse = 1.0f / d;
  float z = m.high * inverse;
  float rest = fmaf_(-z, d, m.high) + fmaf_(-z, m.low + lost, m.low);
  return copysign_(fmaf_(rest, inverse, z), x);
}

float mw_fast_tanh(float x) {
  float a = abs_(x) > 10.0f ? 10.0f : abs_(x);
  Pair m = expm1_pair(a + a);
  return copysign_(m.high / (m.high + 2.0f), x);
}

float mw_sinh(float x) {
  double m = expm1_double((double)abs_(x));
  return copysign_((float)(0.5 * (m + m / (m + 1.0))), x);
}

float mw_cosh(float x) {
  double e = expm1_double((double)abs_(x)) + 1.0;
  return (float)(0.5 * (e + 1.0 / e));
}

float mw_asinh(float x) {
  double a = (double)abs_(x);
  double s = __builtin_sqrt(fma_(a, a, 1.0));
  double y = log1p_double(a + a * a / (1.0 + s));
  return x - x == 0.0f ? copysign_((float)y, x) : x;
}

float mw_acosh(float x) {
  double t = (double)x - 1.0;
  double y = log1p_double(t + __builtin_sqrt(fma_(t, t, 2.0 * t)));
  float r = x == MW_INF ? x : (float)y;
  return x >= 1.0f ? r : MW_NAN;
}

float mw_atanh(float x) {
  double a = (double)abs_(x);
  float y = (float)(0.5 * log1p_double(2.0 * a / (1.0 - a)));
  y = a == 1.0 ? MW_INF : y;
  return abs_(x) <= 1.0f ? copysign_(y, x) : MW_NAN;
}
