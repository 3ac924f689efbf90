// Colours as integers of normalised components, and back.
#pragma once

#include "metal_common.h"

namespace metal {
#define _MSL_PACK(P, T, N, s, format, air)                                                      \
  namespace __raw {                                                                             \
  METAL_CONST P pack_##format(__msl::raw<T, N>) METAL_AIR("pack." air ".v" #N s);               \
  METAL_CONST __msl::raw<T, N> unpack_##format##_##T(P) METAL_AIR("unpack." air ".v" #N s);     \
  }                                                                                             \
  METAL_FUNC P pack_##T##_to_##format(vec<T, N> x) { return __raw::pack_##format(x.v); }        \
  METAL_FUNC vec<T, N> unpack_##format##_to_##T(P x) {                                          \
    return vec<T, N>(__raw::unpack_##format##_##T(x), __msl::raw_tag{});                        \
  }
#define _MSL_PACKS(T, s)                                 \
  _MSL_PACK(uint, T, 4, s, unorm4x8, "unorm4x8")         \
  _MSL_PACK(uint, T, 4, s, snorm4x8, "snorm4x8")         \
  _MSL_PACK(uint, T, 2, s, unorm2x16, "unorm2x16")       \
  _MSL_PACK(uint, T, 2, s, snorm2x16, "snorm2x16")       \
  _MSL_PACK(uint, T, 4, s, unorm10a2, "unorm.rgb10a2")   \
  _MSL_PACK(ushort, T, 3, s, unorm565, "unorm.rgb565")
_MSL_PACKS(float, "f32")
_MSL_PACKS(half, "f16")
#undef _MSL_PACKS
#undef _MSL_PACK

// sRGB's transfer function (IEC 61966-2-1); alpha is linear.
namespace __msl {
METAL_FUNC float srgb_to_linear(float c) {
  return c <= 0.04045f ? c / 12.92f : precise::pow((c + 0.055f) / 1.055f, 2.4f);
}
METAL_FUNC float linear_to_srgb(float c) {
  c = clamp(c, 0.0f, 1.0f);
  return c < 0.0031308f ? 12.92f * c : 1.055f * precise::pow(c, 1.0f / 2.4f) - 0.055f;
}
} // namespace __msl
METAL_FUNC float4 unpack_unorm4x8_srgb_to_float(uint x) {
  float4 c = unpack_unorm4x8_to_float(x);
  return float4(__msl::srgb_to_linear(c.x), __msl::srgb_to_linear(c.y),
                __msl::srgb_to_linear(c.z), c.w);
}
METAL_FUNC half4 unpack_unorm4x8_srgb_to_half(uint x) {
  return half4(unpack_unorm4x8_srgb_to_float(x));
}
METAL_FUNC uint pack_float_to_srgb_unorm4x8(float4 c) {
  return pack_float_to_unorm4x8(float4(__msl::linear_to_srgb(c.x), __msl::linear_to_srgb(c.y),
                                       __msl::linear_to_srgb(c.z), c.w));
}
METAL_FUNC uint pack_half_to_srgb_unorm4x8(half4 c) {
  return pack_float_to_srgb_unorm4x8(float4(c));
}
} // namespace metal
