/*
x = (np.arange(256) % 8).astype(np.float32)
sums = zeros("f32", 2)
run("k", x, sums, threads=256, group_size=64)
same(sums, f32(x.sum(), x.max()))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const float* x, device atomic<float>* sums,
              uint i [[thread_position_in_grid]]) {
  atomic_fetch_add_explicit(sums, x[i], memory_order_relaxed);
  float seen = atomic_load_explicit(sums + 1, memory_order_relaxed);
  while (seen < x[i] &&
         !atomic_compare_exchange_weak_explicit(sums + 1, &seen, x[i], memory_order_relaxed,
                                                memory_order_relaxed)) {
  }
}
