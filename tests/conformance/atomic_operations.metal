/*
start = i32(10, 10, 10, 10, 0b1100, 0b1100, 0b1100, 5)
old = zeros("i32", 8)
run("k", start, old, threads=1)
same(old, i32(10, 10, 10, 10, 12, 12, 12, 5))
same(start, i32(13, 7, 3, 20, 0b0100, 0b1101, 0b1001, 99))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device atomic_int* a, device int* old) {
  old[0] = atomic_fetch_add_explicit(a + 0, 3, memory_order_relaxed);
  old[1] = atomic_fetch_sub_explicit(a + 1, 3, memory_order_relaxed);
  old[2] = atomic_fetch_min_explicit(a + 2, 3, memory_order_relaxed);
  old[3] = atomic_fetch_max_explicit(a + 3, 20, memory_order_relaxed);
  old[4] = atomic_fetch_and_explicit(a + 4, 0b0110, memory_order_relaxed);
  old[5] = atomic_fetch_or_explicit(a + 5, 0b0001, memory_order_relaxed);
  old[6] = atomic_fetch_xor_explicit(a + 6, 0b0101, memory_order_relaxed);
  old[7] = atomic_exchange_explicit(a + 7, 99, memory_order_relaxed);
}
