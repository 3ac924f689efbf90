/*
x = (np.arange(1000) * 7 % 10).astype(np.uint32)
histogram = zeros("u32", 10)
run("k", x, histogram, threads=1000, group_size=100)
same(histogram, np.bincount(x, minlength=10))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const uint* x, device atomic_uint* histogram,
              uint i [[thread_position_in_grid]]) {
  atomic_fetch_add_explicit(&histogram[x[i]], 1, memory_order_relaxed);
}
