// asin, acos, atan, atan2 and their pi forms. Polynomials: fit_polynomials.py.
#include "math.h"

#define PI 3.14159265358979323846
#define HALF_PI 1.57079632679489661923
#define ONE_OVER_PI 0.318309886183790671538

// atan of r in [0, 1].
MW_INLINE double atan_reduced(double r) {
  double z = r * r;
  double p = fma_(0.0000755278852304762615, z, -0.000716867749802922003);
  p = fma_(p, z, 0.00321018803619094105);
  p = fma_(p, z, -0.00910852689623594385);
  p = fma_(p, z, 0.018661890683619959);
  p = fma_(p, z, -0.0300681676473175614);
  p = fma_(p, z, 0.0408773308994312922);
  p = fma_(p, z, -0.0499782182552447501);
  p = fma_(p, z, 0.0580223891455957518);
  p = fma_(p, z, -0.0664853085282693863);
  p = fma_(p, z, 0.0768931877603315798);
  p = fma_(p, z, -0.0909056470125401733);
  p = fma_(p, z, 0.111110849617328969);
  p = fma_(p, z, -0.142857130932559452);
  p = fma_(p, z, 0.19999999972275941);
  p = fma_(p, z, -0.333333333331063982);
  return r * fma_(p, z, 1.0);
}

MW_INLINE double atan_double(float x) {
  double a = (double)abs_(x);
  _Bool steep = a > 1.0;
  double y = atan_reduced(steep ? 1.0 / a : a);
  return __builtin_copysign(steep ? HALF_PI - y : y, (double)x);
}

// The angle of (x, y) in (-pi, pi], with C's results for zeros and infinities.
MW_INLINE double atan2_double(float y, float x) {
  double a = (double)abs_(x), b = (double)abs_(y);
  _Bool steep = b > a;
  double small = steep ? a : b, large = steep ? b : a;
  double q = small / large;
  q = large == 0.0 ? 0.0 : q;            // both zero
  q = small == (double)MW_INF ? 1.0 : q; // both infinite
  double r = atan_reduced(q);
  r = steep ? HALF_PI - r : r;
  r = (bits32(x) >> 31) ? PI - r : r;
  r = __builtin_copysign(r, (double)y);
  return x != x || y != y ? (double)MW_NAN : r;
}

// asin of a in [0, 1] as high = 0 or pi/2, and the rest: above 1/2 by the half-angle formula.
typedef struct {
  double rest;
  _Bool above;
} Arc;

MW_INLINE Arc asin_parts(double a) {
  _Bool above = a > 0.5;
  double z = above ? fma_(a, -0.5, 0.5) : a * a;
  double s = above ? __builtin_sqrt(z) : a;
  double p = fma_(0.0315586555591416008, z, -0.00736611478265218544);
  p = fma_(p, z, 0.0179448409271985365);
  p = fma_(p, z, 0.0125478901687752444);
  p = fma_(p, z, 0.0175496844134985176);
  p = fma_(p, z, 0.0223548758750125961);
  p = fma_(p, z, 0.0303828756905551975);
  p = fma_(p, z, 0.0446428284479504157);
  p = fma_(p, z, 0.0750000004365158589);
  p = fma_(p, z, 0.166666666664371092);
  Arc arc = {s * fma_(p, z, 1.0), above};
  return arc;
}

MW_INLINE double asin_double(float x) {
  Arc arc = asin_parts((double)abs_(x)); // |x| > 1: the square root of a negative number, NaN
  double y = arc.above ? fma_(arc.rest, -2.0, HALF_PI) : arc.rest;
  return __builtin_copysign(y, (double)x);
}

MW_INLINE double acos_double(float x) {
  Arc arc = asin_parts((double)abs_(x));
  double twice = 2.0 * arc.rest;
  double y = arc.above ? (x < 0.0f ? PI - twice : twice)
                       : HALF_PI - __builtin_copysign(arc.rest, (double)x);
  return y;
}

float mw_asin(float x) {
  return (float)asin_double(x);
}
float mw_acos(float x) {
  return (float)acos_double(x);
}
float mw_atan(float x) {
  return (float)atan_double(x);
}
float mw_atan2(float y, float x) {
  return (float)atan2_double(y, x);
}
float mw_asinpi(float x) {
  return (float)(asin_double(x) * ONE_OVER_PI);
}
float mw_acospi(float x) {
  return (float)(acos_double(x) * ONE_OVER_PI);
}
float mw_atanpi(float x) {
  return (float)(atan_double(x) * ONE_OVER_PI);
}
float mw_atan2pi(float y, float x) {
  return (float)(atan2_double(y, x) * ONE_OVER_PI);
}
