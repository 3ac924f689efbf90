/*
raw = i32(3, 4)
out = zeros("f32", 4)
run("k", raw, raw, out, threads=1)
same(out, f32(3, 4, 3, 9))
*/
#include <metal_stdlib>
using namespace metal;

struct Fixed {
  int value;
  operator float() const thread { return float(value); }
  operator float() const device { return float(value); }
  operator float() const constant { return float(value); }
  operator float() const threadgroup { return float(value); }
};
kernel void k(device const Fixed* d, constant Fixed* c, device float* out) {
  threadgroup Fixed shared;
  shared = d[0];
  Fixed own{9};
  out[0] = d[0];
  out[1] = c[1];
  out[2] = shared;
  out[3] = own;
}
