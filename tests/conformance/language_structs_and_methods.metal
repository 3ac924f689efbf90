/*
out = zeros("f32", 4)
run("k", out, threads=1)
same(out, f32(4, 6, 11, 25))
*/
#include <metal_stdlib>
using namespace metal;

struct Point {
  float x, y;
  Point() = default;
  Point(float a, float b) : x(a), y(b) {}
  Point operator+(Point o) const { return Point(x + o.x, y + o.y); }
  thread Point& operator*=(float s) thread {
    x *= s;
    y *= s;
    return *this;
  }
  float dot(const thread Point& o) const { return x * o.x + y * o.y; }
};
struct Segment {
  Point from, to;
  float squared() const {
    float dx = to.x - from.x, dy = to.y - from.y;
    return dx * dx + dy * dy;
  }
};
kernel void k(device float* out) {
  Point p(1, 2), q(3, 4);
  Point sum = p + q;
  out[0] = sum.x;
  out[1] = sum.y;
  out[2] = p.dot(q);
  Segment s{p, q};
  s.to *= 2;
  s.to.y -= 3;
  s.from = Point(2, 2);
  out[3] = s.squared();
}
