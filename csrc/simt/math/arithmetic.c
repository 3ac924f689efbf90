// rsqrt, fmod, ldexp, frexp, nextafter and others that need no polynomial.
#include "math.h"

// 1/sqrt(x) in float and a step on the exact residual, correctly rounded for every float. The
// square of the residual decides for one of the 2^24 significands and parities of the exponent.
float mw_rsqrt(float x) {
  float y = 1.0f / __builtin_sqrtf(x);
  float t = x * y;
  float residual = fmaf_(-t, y, 1.0f) - fmaf_(x, y, -t) * y;
  float better = fmaf_(fmaf_(0.375f * residual, residual, 0.5f * residual), y, y);
  return x > 0.0f && x < MW_INF ? better : y;
}

// Within two units, which is what fast math asks for.
float mw_fast_rsqrt(float x) {
  return 1.0f / __builtin_sqrtf(x);
}

// Exact. Quotients below 2^52 (nearly all) take one step; larger ones are brought down by exact
// steps first.
float mw_fmod(float x, float y) {
  double a = (double)abs_(x), b = (double)abs_(y);
  if (a < MW_INF && b > 0.0) {
    while (a >= b * 0x1p52) {
      // The multiple of b next below a, b scaled by a power of two so that the quotient has 50
      // bits.
      double scaled = b;
      while (a >= scaled * 0x1p52)
        scaled *= 0x1p50;
      double r = fma_(-__builtin_trunc(a / scaled), scaled, a);
      a = r < 0.0 ? r + scaled : r;
    }
  }
  double r = fma_(-__builtin_trunc(a / b), b, a);
  r = r < 0.0 ? r + b : r; // the quotient was rounded up to an integer
  r = a < b ? a : r;       // also where b is infinite
  return copysign_((float)r, x);
}

float mw_fast_fmod(float x, float y) {
  return fmaf_(-__builtin_truncf(x / y), y, x);
}

// x * 2^n, rounded once: in double every product here is exact.
float mw_ldexp(float x, i32 n) {
  n = n > 300 ? 300 : n;
  n = n < -300 ? -300 : n;
  return (float)((double)x * double_of((u64)(n + 1023) << 52));
}

// The mantissa in [0.5, 1) and the exponent, as C has them; zeros, infinities and NaN are their own
// mantissa.
float mw_frexp_mantissa(float x) {
  double a = (double)x;
  float m = (float)double_of((bits64(a) & 0x800fffffffffffffull) | 0x3fe0000000000000ull);
  return x == 0.0f || x - x != 0.0f ? x : m;
}

i32 mw_frexp_exponent(float x) {
  double a = (double)x;
  i32 e = (i32)((bits64(a) >> 52) & 0x7ff) - 1022;
  return x == 0.0f || x - x != 0.0f ? 0 : e;
}

i32 mw_ilogb(float x) {
  i32 e = mw_frexp_exponent(x) - 1;
  e = x == 0.0f ? (-2147483647 - 1) : e;
  e = abs_(x) == MW_INF ? 2147483647 : e;
  return x != x ? (-2147483647 - 1) : e;
}

float mw_nextafter(float x, float y) {
  u32 b = bits32(x);
  _Bool away = (x < y) == (x > 0.0f); // from zero
  u32 next = away ? b + 1 : b - 1;
  next = x == 0.0f ? ((bits32(y) & 0x80000000u) | 1) : next;
  float r = x == y ? y : float_of(next);
  return x != x || y != y ? MW_NAN : r;
}
