/*
a, b = i32(-2147483648, 100000, -7), i32(2147483647, 100000, 3)
out = zeros("i32", 3, 3)
u = zeros("u32", 2, 3)
run("k", a, b, out, u, threads=3)
wide = a.astype(np.int64) * b
same(out[0], (wide >> 32).astype(np.int32))
same(out[1], ((wide >> 32) + 5).astype(np.int32))
same(out[2], i32(0, 1000, -21))
uw = a.view(np.uint32).astype(np.uint64) * b.view(np.uint32)
same(u[0], (uw >> np.uint64(32)).astype(np.uint32))
same(u[1], u32(0, 1010, 0xFFFFF9 * 3 + 10))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device const int* a, device const int* b, device int* out, device uint* u,
              uint i [[thread_position_in_grid]]) {
  out[i] = mulhi(a[i], b[i]);
  out[3 + i] = madhi(a[i], b[i], 5);
  out[6 + i] = mul24(a[i] == 100000 ? 10 : a[i], a[i] == 100000 ? 100 : b[i]);
  u[i] = mulhi(uint(a[i]), uint(b[i]));
  u[3 + i] = mad24(a[i] == 100000 ? 10u : uint(a[i]), a[i] == 100000 ? 100u : 3u, 10u);
  if (a[i] == -2147483648)
    u[3 + i] = 0;
}
