/*
x = f32(1, -2, 3)
out = zeros("f32", 3)
run("scale_float", x, out, threads=3)
same(out, x * 2)
h = zeros("f16", 3)
run("scale_half", f16(x), h, threads=3)
same(h, f16(x) * np.float16(2))
ints = zeros("i32", 3)
run("scale_int_by_5", i32(x), ints, threads=3)
same(ints, i32(x) * 5)
*/
#include <metal_stdlib>
using namespace metal;

template <typename T, int S>
[[kernel]] void scale(device const T* x [[buffer(0)]], device T* out [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) {
  out[i] = x[i] * T(S);
}
template [[host_name("scale_float")]] [[kernel]] decltype(scale<float, 2>) scale<float, 2>;
#define INSTANTIATE(name, T, S)                                                              \
  template [[host_name(name)]] kernel void scale<T, S>(device const T*, device T*, uint);
INSTANTIATE("scale_half", half, 2)
INSTANTIATE("scale_int_by_5", int, 5)
