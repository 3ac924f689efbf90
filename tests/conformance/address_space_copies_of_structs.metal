/*
raw = f32(1, 2, 3, 4)
out = zeros("f32", 4)
run("k", raw, out, threads=1)
same(out, f32(4, 5, 6, 8))
*/
#include <metal_stdlib>
using namespace metal;

struct Params {
  float2 a;
  float b[2];
  float total() const { return a.x + a.y + b[0] + b[1]; }
};
kernel void k(constant Params& c, device Params& out) {
  threadgroup Params shared;
  shared = c;
  Params own = shared;
  own.a += c.b[0];
  own.b[0] *= 2;
  own.b[1] = c.total() - 2;
  out = own;
}
