/*
a = u32(5, 0)
out = zeros("u32", 2)
run("k", a, out, threads=1)
same(a, u32(5, 42))
same(out, u32(5, 42))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device atomic_uint* a, device uint* out) {
  out[0] = atomic_load_explicit(a, memory_order_relaxed);
  atomic_store_explicit(a + 1, 42u, memory_order_relaxed);
  out[1] = atomic_load_explicit(&a[1], memory_order_relaxed);
}
