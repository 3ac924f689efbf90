/*
raw = f32(10, 20)
out = zeros("f32", 8)
run("k", raw, out, threads=1)
same(out, f32(1, 3, 0, 2, 12, 6, 30, 105))
*/
// Members of class templates, defined outside of the class, operators, and member templates.
#include <metal_stdlib>
using namespace metal;

template <typename T>
struct Cell {
  T v;
  int space() const thread { return 0; }
  int space() const device;
  int space() const threadgroup { return 3; }
  thread Cell& operator+=(T x) thread {
    v += x;
    return *this;
  }
  device Cell& operator+=(T x) device {
    v += 2 * x;
    return *this;
  }
  template <typename U>
  U plus(U x) const thread {
    return U(v) + x + 100;
  }
  template <typename U>
  U plus(U x) const device {
    return U(v) + x;
  }
};
template <typename T>
int Cell<T>::space() const device {
  return 1;
}
struct Two {
  Cell<float> a, b;
};

kernel void k(device Cell<float>* d, device float* out) {
  threadgroup Cell<float> shared;
  Two two{{5}, {5}};
  out[0] = d->space();
  out[1] = shared.space();
  out[2] = two.a.space();
  device Two* both = reinterpret_cast<device Two*>(d);
  out[3] = both->b.space() + both->a.space();
  *d += 1;
  out[4] = d->v;
  two.a += 1;
  out[5] = two.a.v;
  out[6] = both->b.plus(10);
  out[7] = two.b.plus(0.0f);
}
