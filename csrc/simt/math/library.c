// The maths library as one translation unit: what clang turns into the embedded bitcode.
#include "arithmetic.c"
#include "exponential.c"
#include "hyperbolic.c"
#include "inverse_trigonometric.c"
#include "logarithm.c"
#include "trigonometric.c"
