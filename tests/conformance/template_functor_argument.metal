/*
x = f32(1, 4, 9)
out = zeros("f32", 2, 3)
run("roots", x, out, threads=3)
run("squares", x, out[1], threads=3)
same(out, f32([np.sqrt(x), x * x]))
*/
#include <metal_stdlib>
using namespace metal;

struct Root {
  float operator()(float x) const { return sqrt(x); }
};
struct Square {
  template <typename T>
  T operator()(T x) const {
    return x * x;
  }
};
template <typename F>
kernel void map(device const float* x, device float* out, uint i [[thread_position_in_grid]]) {
  out[i] = F()(x[i]);
}
template [[host_name("roots")]] kernel void map<Root>(device const float*, device float*, uint);
template [[host_name("squares")]] kernel void map<Square>(device const float*, device float*, uint);
