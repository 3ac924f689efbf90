/*
out = zeros("i32", 64)
run("k", out, threads=64, group_size=64)
same(out, np.arange(64)[::-1])
*/
#include <metal_stdlib>
using namespace metal;

[[max_total_threads_per_threadgroup(64)]] kernel void k(device int* out,
                                                        uint i [[thread_position_in_grid]]) {
  out[i] = 63 - int(i);
}
