/*
out = zeros("i32", 10)
run("k", out, threads=10, group_size=4)
same(out, np.arange(10))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out, uint i [[thread_position_in_grid]]) { out[i] = int(i); }
