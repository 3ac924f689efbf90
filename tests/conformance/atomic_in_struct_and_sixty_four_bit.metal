/*
raw = zeros("u32", 4)
largest = zeros("u64", 1)
run("k", raw, largest, threads=100, group_size=50)
same(raw, u32(100, 0, 4950, 0))
same(largest, u64((99 << 32) + 99))
*/
#include <metal_stdlib>
using namespace metal;

struct State {
  atomic<uint> count;
  uint padding;
  atomic_uint sum;
  uint more;
};
kernel void k(device State* state, device atomic_ulong* largest,
              uint i [[thread_position_in_grid]]) {
  atomic_fetch_add_explicit(&state->count, 1u, memory_order_relaxed);
  atomic_fetch_add_explicit(&state->sum, i, memory_order_relaxed);
  atomic_max_explicit(largest, (ulong(i) << 32) + i, memory_order_relaxed);
}
