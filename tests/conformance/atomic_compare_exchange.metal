/*
a = i32(5, 5)
out = zeros("i32", 4)
run("k", a, out, threads=1)
same(a, i32(9, 5))
same(out, i32(1, 5, 0, 5))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device atomic_int* a, device int* out) {
  int expected = 5;
  out[0] = atomic_compare_exchange_weak_explicit(a, &expected, 9, memory_order_relaxed,
                                                 memory_order_relaxed);
  out[1] = expected;
  expected = 6;
  out[2] = atomic_compare_exchange_weak_explicit(a + 1, &expected, 9, memory_order_relaxed,
                                                 memory_order_relaxed);
  out[3] = expected;
}
