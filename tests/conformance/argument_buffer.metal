/*
x, y = f32(1, 2, 3, 4), zeros("f32", 4)
args = encode("k", "args", {"x": x, "scale": 2.5, "y": y, "offset": (10, 20), "count": 3})
run("k", args, threads=4)
same(y, f32(32.5, 35, 37.5, 0))
counts = zeros("u32", 1)
run("implied", encode("implied", 0, [counts, 4]), threads=5)
same(counts, u32(20))
*/
#include <metal_stdlib>
using namespace metal;

struct Args {
  const device float* x [[id(0)]];
  float scale [[id(2)]];
  device float* y [[id(1)]];
  int2 offset [[id(5)]];
  uint count [[id(3)]];
};
kernel void k(constant Args& args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  if (i < args.count) args.y[i] = args.x[i] * args.scale + args.offset.x + args.offset.y;
}

struct Implied {
  device atomic_uint* total;
  uint step;
};
kernel void implied(device Implied& args) {
  atomic_fetch_add_explicit(args.total, args.step, memory_order_relaxed);
}
