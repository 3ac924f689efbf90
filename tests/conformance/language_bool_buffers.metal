/*
x = u8(1, 0, 1).view(np.bool_)
out = zeros("b8", 3)
run("k", x, out, threads=3)
same(out, np.logical_not(x))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const bool* x, device bool* out, uint i [[thread_position_in_grid]]) {
  out[i] = !x[i];
}
