/*
out = zeros("i32", 4)
run("k", out, threads=1, options={"macros": {"WIDTH": "7", "FLAG": "1"}})
same(out, i32(7, 1, 12, 1))
*/
#include <metal_stdlib>
using namespace metal;

#ifndef WIDTH
#error "WIDTH comes from the compile options"
#endif
#define SQUARE(x) ((x) * (x))
#define JOIN(a, b) a##b
#if defined(__METAL__) && __METAL_VERSION__ >= 300
#define RECENT 1
#else
#define RECENT 0
#endif
kernel void JOIN(k, )(device int* out) {
  out[0] = WIDTH;
#if FLAG
  out[1] = 1;
#endif
  out[2] = SQUARE(2 + 1) + 3;
  out[3] = RECENT;
}
