/*
out = zeros("f32", 4)
run("k", out, threads=1)
same(out, f32(10, 3, 2.5, 24))
*/
#include <metal_stdlib>
using namespace metal;

template <typename T>
float describe(T x) {
  if constexpr (is_floating_point_v<T>)
    return x / 2;
  else
    return x % 7;
}
template <typename... T>
float total(T... x) {
  return (x + ...);
}
template <typename F, typename... R>
float product(F first, R... rest) {
  if constexpr (sizeof...(rest) == 0)
    return first;
  else
    return first * product(rest...);
}
kernel void k(device float* out) {
  out[0] = total(1, 2.0f, 3.0h, 4u);
  out[1] = describe(10);
  out[2] = describe(5.0f);
  out[3] = product(2, 3.0f, 4);
}
