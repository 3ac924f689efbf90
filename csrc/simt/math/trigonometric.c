// sin, cos, tan, their pi forms and fast forms. Polynomials: fit_polynomials.py.
//
// The argument is counted in quadrants, in double: x times 2/pi, a constant in two parts. From 2^47
// on x is a multiple of some 2^base, so a part of 2/pi that is a multiple of 4 / 2^base adds whole
// turns only and is left out: there are four such constants. So the count stays below 2^51, one
// magic addition splits it into an integer and a rest, and the rest's error is near 2^-56 quadrants
// for every float: far below a float's last bit even where x is next to a multiple of pi/2. No
// table, no branch, one path for all arguments.
#include "math.h"

typedef struct {
  double r;     // in [-pi/4, pi/4], or up to 11 % beyond for large x
  u64 quadrant; // only the two lowest bits count
} Reduced;

MW_INLINE Reduced reduce(float x) {
  float a = abs_(x);
  _Bool first = a >= 0x1p47f, second = a >= 0x1p74f, third = a >= 0x1p102f;
  // Both parts of 2/pi itself are positive, so that a zero keeps its sign in the sums below.
  double high = first ? -0x1.236377d5ac07bp-25 : 0x1.45f306dc9c882p-1;
  double low = first ? -0x1.505c1596447e5p-81 : 0x1.4a7f09d5f47d5p-54;
  high = second ? 0x1.529fc2757d1f5p-52 : high;
  low = second ? 0x1.a6ee06db14acdp-107 : low;
  high = third ? -0x1.505c1596447e5p-81 : high;
  low = third ? 0x1.b14acc9e21c82p-135 : low;
  double t = fma_(x, high, MAGIC64);
  double rest = fma_(x, low, fma_(x, high, -(t - MAGIC64)));
  Reduced result = {rest * 1.57079632679489661923, bits64(t)};
  return result;
}

// Each is written so that a zero keeps its sign.
MW_INLINE double sin_reduced(double r) {
  double z = r * r;
  double p = fma_(2.72487973752934168e-6, z, -0.000198400772166456534);
  p = fma_(p, z, 0.00833333185482025854);
  p = fma_(p, z, -0.16666666663794356);
  return r * fma_(p, z, 1.0);
}

MW_INLINE double cos_reduced(double r) {
  double z = r * r;
  double p = fma_(0.0000243827216662410999, z, -0.00138866726632429879);
  p = fma_(p, z, 0.0416666200727863823);
  p = fma_(p, z, -0.49999999691958653);
  return fma_(p, z, 1.0);
}

MW_INLINE float sin_of(Reduced a) {
  double y = (a.quadrant & 1) ? cos_reduced(a.r) : sin_reduced(a.r);
  return (float)double_of(bits64(y) ^ ((a.quadrant & 2) << 62));
}

MW_INLINE float cos_of(Reduced a) {
  double y = (a.quadrant & 1) ? sin_reduced(a.r) : cos_reduced(a.r);
  return (float)double_of(bits64(y) ^ (((a.quadrant + 1) & 2) << 62));
}

MW_INLINE float tan_of(Reduced a) {
  double s = sin_reduced(a.r), c = cos_reduced(a.r);
  return (float)((a.quadrant & 1) ? -c / s : s / c);
}

float mw_tan(float x) {
  return tan_of(reduce(x));
}

// x in half turns: the reduction is exact. From 2^25 on every float is an even integer.
MW_INLINE Reduced reduce_pi(float x) {
  double a = abs_(x) < 0x1p25f ? (double)x : (double)(x - x);
  double t = a * 2.0 + MAGIC64;
  Reduced result = {fma_(t - MAGIC64, -0.5, a) * 3.14159265358979323846, bits64(t)};
  return result;
}

// Zeros have the sign of x for the sine and are positive for the cosine.
float mw_sinpi(float x) {
  float y = sin_of(reduce_pi(x));
  return y == 0.0f ? copysign_(y, x) : y;
}
float mw_cospi(float x) {
  return cos_of(reduce_pi(x)) + 0.0f;
}
float mw_tanpi(float x) {
  return tan_of(reduce_pi(x));
}

// The reduced argument in float.
typedef struct {
  float r;
  u32 quadrant;
} ReducedFloat;

MW_INLINE float cos_reduced_float(float r) {
  float z = r * r;
  float p = fmaf_(2.438272167e-5f, z, -0.001388667266f);
  p = fmaf_(p, z, 0.04166662007f);
  p = fmaf_(p, z, -0.4999999969f);
  return fmaf_(p, z, 1.0f);
}

// sin and cos: reduced in double, the rest in float, with twice the lanes. Most of their error is
// that r is rounded: just above a power of two a unit of r's last place is nearly two of the
// sine's. For |x| < pi/4, r is x.
MW_INLINE ReducedFloat reduce_to_float(float x) {
  Reduced a = reduce(x);
  ReducedFloat result = {(float)a.r, (u32)a.quadrant};
  return result;
}

// The sum rounds once, but makes a negative zero positive: the sign is put back.
MW_INLINE float sin_reduced_float(float r) {
  float z = r * r;
  float p = fmaf_(2.709905373e-6f, z, -0.000198383599f);
  p = fmaf_(p, z, 0.008333326022f);
  p = fmaf_(p, z, -0.1666666661f);
  float y = fmaf_(r * z, p, r);
  return float_of(bits32(y) | (bits32(r) & 0x80000000u));
}

// The sine so many quadrants on, from both of the reduced argument; the cosine is one further.
MW_INLINE float sin_in(u32 quadrant, float s, float c) {
  float y = (quadrant & 1) ? c : s;
  return float_of(bits32(y) ^ ((quadrant & 2) << 30));
}

float mw_sin(float x) {
  ReducedFloat a = reduce_to_float(x);
  return sin_in(a.quadrant, sin_reduced_float(a.r), cos_reduced_float(a.r));
}

float mw_cos(float x) {
  ReducedFloat a = reduce_to_float(x);
  return sin_in(a.quadrant + 1, sin_reduced_float(a.r), cos_reduced_float(a.r));
}

// In float throughout. The specification bounds the absolute error on [-pi, pi] only; the
// three-part pi/2 keeps it useful to about 2^15, and beyond that the result is still in [-1, 1].
MW_INLINE ReducedFloat fast_reduce(float x) {
  float t = fmaf_(x, 0.636619772f, MAGIC32);
  float n = t - MAGIC32;
  float r = fmaf_(n, -0x1.921fb6p+0f, x);
  r = fmaf_(n, 0x1.777a5cp-25f, r);
  r = fmaf_(n, 0x1.ee59dap-50f, r);
  r = abs_(x) < 0x1p20f ? r : x - x;
  ReducedFloat result = {r, bits32(t)};
  return result;
}

MW_INLINE float fast_sin_reduced(float r) {
  float z = r * r;
  float p = fmaf_(-0.0001951463212f, z, 0.008332156056f);
  p = fmaf_(p, z, -0.1666665454f);
  return r * fmaf_(p, z, 1.0f);
}

float mw_fast_sin(float x) {
  ReducedFloat a = fast_reduce(x);
  return sin_in(a.quadrant, fast_sin_reduced(a.r), cos_reduced_float(a.r));
}

float mw_fast_cos(float x) {
  ReducedFloat a = fast_reduce(x);
  return sin_in(a.quadrant + 1, fast_sin_reduced(a.r), cos_reduced_float(a.r));
}
