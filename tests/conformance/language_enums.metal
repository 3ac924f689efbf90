/*
out = zeros("i32", 4)
run("k", out, i32(2), threads=1)
same(out, i32(2, 5, 20, 1))
*/
#include <metal_stdlib>
using namespace metal;

enum Colour { red, green = 5, blue };
enum class Mode : uchar { add = 1, scale = 2 };
int apply(Mode mode, int x) {
  switch (mode) {
    case Mode::add:
      return x + 1;
    case Mode::scale:
      return x * 2;
  }
  return -1;
}
kernel void k(device int* out, constant int& mode) {
  out[0] = sizeof(Mode) * 2;
  out[1] = green;
  out[2] = apply(static_cast<Mode>(mode), 10);
  out[3] = blue > green;
}
