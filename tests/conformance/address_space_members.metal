/*
raw = f32(3, 4)
out = zeros("f32", 11)
run("k", raw, f32(3, 4), out, threads=1)
same(out, f32(1003, 2004, 3003, 9, 1, 2, 3, 0, 7, 8, 6))
same(raw, f32(7, 4))
*/
// The object's address space chooses the member, and the kind of pointer that it may return.
#include <metal_stdlib>
using namespace metal;

struct Tagged {
  float v;
  operator float() const thread { return v; }
  operator float() const device { return v + 1000; }
  operator float() const constant { return v + 2000; }
  operator float() const threadgroup { return v + 3000; }
  int space() const { return 0; }
  int space() const device { return 1; }
  int space() const constant { return 2; }
  int space() const threadgroup { return 3; }
  device float* at() device { return &v; }
  threadgroup float* at() threadgroup { return &v; }
  thread float* at() { return &v; }
};

kernel void k(device Tagged* d, constant Tagged* c, device float* out) {
  threadgroup Tagged shared;
  shared.v = d[0].v;
  Tagged own{9};
  out[0] = d[0];
  out[1] = c[1];
  out[2] = shared;
  out[3] = own;
  out[4] = d->space();
  out[5] = c->space();
  out[6] = shared.space();
  out[7] = own.space();
  *d->at() = 7;
  *shared.at() = 8;
  *own.at() = 6;
  out[8] = d->v;
  out[9] = shared.v;
  out[10] = own.v;
}
