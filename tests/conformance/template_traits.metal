/*
out = zeros("i32", 8)
run("k", out, threads=1)
same(out, i32(1, 2, 1, 0, 4, 1, 2, 3))
*/
#include <metal_stdlib>
using namespace metal;

template <typename T, enable_if_t<is_integral_v<T>, bool> = true>
int kind(T) {
  return 1;
}
template <typename T, enable_if_t<is_floating_point_v<T>, bool> = true>
int kind(T) {
  return 2;
}
template <typename T>
typename enable_if<is_signed<T>::value, int>::type sign_kind(T) {
  return 3;
}
static_assert(is_same<remove_cv_t<const volatile int>, int>::value, "");
static_assert(is_same_v<conditional_t<(sizeof(int) > 2), float, half>, float>, "");
static_assert(is_same_v<make_unsigned_t<short>, ushort> && is_unsigned_v<uchar>, "");
static_assert(is_same_v<remove_reference_t<thread float&>, float>, "");
static_assert(is_convertible_v<int, float> && !is_convertible_v<float4, float>, "");
static_assert(is_arithmetic_v<half> && !is_pointer_v<int> && is_void<void>::value, "");
kernel void k(device int* out) {
  out[0] = kind(5);
  out[1] = kind(5.0f);
  out[2] = is_same_v<decltype(out[0] + 1), int>;
  out[3] = is_same<half, float>::value;
  out[4] = sizeof(conditional<true, int, char>::type);
  out[5] = integral_constant<int, 1>::value;
  out[6] = kind(half(1));
  out[7] = sign_kind(1);
}
