// The same loops over the C library's functions: what bench/maths_throughput.py compares with.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COUNT = 4096, REPEATS = 16 };
static float a[COUNT], b[COUNT], result[COUNT];

static double nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static float uniform(float low, float high) {
  return low + (high - low) * ((float)rand() / (float)RAND_MAX);
}

// Least nanoseconds per element over 0.3 s.
#define MEASURE(name, low, high, expression)                                                       \
  {                                                                                                \
    for (int i = 0; i < COUNT; i++)                                                                \
      a[i] = uniform(low, high), b[i] = uniform(low, high);                                        \
    double least = 1e30, end = nanoseconds() + 3e8;                                                \
    while (nanoseconds() < end) {                                                                  \
      double start = nanoseconds();                                                                \
      for (int k = 0; k < REPEATS; k++) {                                                          \
        for (int i = 0; i < COUNT; i++)                                                            \
          result[i] = (expression);                                                                \
        __asm__ volatile("" ::"r"(result) : "memory");                                             \
      }                                                                                            \
      double each = (nanoseconds() - start) / REPEATS / COUNT;                                     \
      least = each < least ? each : least;                                                         \
    }                                                                                              \
    printf("%s %.4f\n", name, least);                                                              \
  }

int main(void) {
  MEASURE("exp", -10, 10, expf(a[i]))
  MEASURE("exp2", -10, 10, exp2f(a[i]))
  MEASURE("log", 0.01f, 100, logf(a[i]))
  MEASURE("log2", 0.01f, 100, log2f(a[i]))
  MEASURE("sin", -30, 30, sinf(a[i]))
  MEASURE("cos", -30, 30, cosf(a[i]))
  MEASURE("tan", -30, 30, tanf(a[i]))
  MEASURE("tanh", -5, 5, tanhf(a[i]))
  MEASURE("pow", 0.01f, 10, powf(a[i], b[i]))
  MEASURE("atan", -5, 5, atanf(a[i]))
  MEASURE("asin", -1, 1, asinf(a[i]))
  MEASURE("asinh", -5, 5, asinhf(a[i]))
  MEASURE("fmod", -10, 10, fmodf(a[i], b[i]))
  MEASURE("rsqrt", 0.1f, 100, 1 / sqrtf(a[i]))
  return 0;
}
