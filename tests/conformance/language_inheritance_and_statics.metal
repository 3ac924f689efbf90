/*
out = zeros("i32", 3)
run("k", out, threads=1)
same(out, i32(7, 12, 42))
*/
#include <metal_stdlib>
using namespace metal;

struct Base {
  int a;
  int get() const { return a; }
  static int answer() { return 42; }
};
struct Derived : Base {
  int b;
  int both() const { return get() + b; }
};
kernel void k(device int* out) {
  Derived d;
  d.a = 7;
  d.b = 5;
  out[0] = d.get();
  out[1] = d.both();
  out[2] = Derived::answer();
}
