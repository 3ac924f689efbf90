// What the maths library's files share: bit casts, polynomial steps, and how a function is
// declared.
//
// Rules of this library. Every function takes and returns scalars, has no branches where its inputs
// are common (selects only), calls nothing outside this folder and reads no tables, so that LLVM's
// loop vectoriser can turn a loop that inlines it into vector code on any target. Fused
// multiply-adds are explicit: the results do not depend on what a target can contract.
#pragma once

typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;

#define MW_INLINE static inline __attribute__((always_inline))

MW_INLINE u32 bits32(float x) {
  return __builtin_bit_cast(u32, x);
}
MW_INLINE float float_of(u32 x) {
  return __builtin_bit_cast(float, x);
}
MW_INLINE u64 bits64(double x) {
  return __builtin_bit_cast(u64, x);
}
MW_INLINE double double_of(u64 x) {
  return __builtin_bit_cast(double, x);
}

MW_INLINE float fmaf_(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
MW_INLINE double fma_(double a, double b, double c) {
  return __builtin_fma(a, b, c);
}
MW_INLINE float abs_(float x) {
  return __builtin_fabsf(x);
}
MW_INLINE float copysign_(float x, float s) {
  return __builtin_copysignf(x, s);
}

#define MW_INF __builtin_inff()
#define MW_NAN __builtin_nanf("")

// Adding and subtracting one of these rounds to an integer, which then also stands in the low bits.
#define MAGIC32 12582912.0f        // 1.5 * 2^23
#define MAGIC64 6755399441055744.0 // 1.5 * 2^52

// 2^n for -126 <= n <= 127.
MW_INLINE float power_of_two(i32 n) {
  return float_of((u32)(n + 127) << 23);
}
