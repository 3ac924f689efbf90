/*
x = (np.arange(128) % 3).astype(np.int32)
out = zeros("i32", 2, 3)
run("k", x, out, threads=128, group_size=64)
same(out, i32([np.bincount(x[:64], minlength=3), np.bincount(x[64:], minlength=3)]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const int* x, device int* out, uint i [[thread_position_in_grid]],
              uint t [[thread_position_in_threadgroup]],
              uint g [[threadgroup_position_in_grid]]) {
  threadgroup atomic_int bins[3];
  if (t < 3)
    atomic_store_explicit(&bins[t], 0, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  atomic_fetch_add_explicit(&bins[x[i]], 1, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (t < 3)
    out[g * 3 + t] = atomic_load_explicit(&bins[t], memory_order_relaxed);
}
