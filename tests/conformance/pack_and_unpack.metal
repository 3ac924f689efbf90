/*
packed = zeros("u32", 9)
unpacked = zeros("f32", 32)
run("k", packed, unpacked, threads=1)
same(packed, u32(0x00e6801a, 0xda72400d, 0x8000199a, 0x7332d99a, 0x39980066, 0x1c1c, 0x00f3bc59, 0x00e58019, 0x40000ccc))
close(unpacked[:16], f32(64 / 255, 0, 1, 128 / 255, 64 / 127, 1 / 127, -1 / 127, -1, 1, 32768 / 65535, -1 / 32767, -1, 1, 0, 0, 1))
close(unpacked[16:28], f32(1, 0, 1, 0, 0.0512694679, 0.00303526991, 1, 128 / 255, 0.25097656, 0, 1, 0.50195312))
*/
#include <metal_pack>
using namespace metal;

// Red in the lowest bits, but for 565, where it is in the highest; half is rounded before it is packed.
kernel void k(device uint* packed, device float4* unpacked) {
  const float4 c = float4(0.1f, 0.5f, 0.9f, -0.3f);
  packed[0] = pack_float_to_unorm4x8(c);
  packed[1] = pack_float_to_snorm4x8(c);
  packed[2] = pack_float_to_unorm2x16(c.xy);
  packed[3] = pack_float_to_snorm2x16(c.wz);
  packed[4] = pack_float_to_unorm10a2(c);
  packed[5] = pack_float_to_unorm565(c.xyz);
  packed[6] = pack_float_to_srgb_unorm4x8(c);
  packed[7] = pack_half_to_unorm4x8(half4(c));
  packed[8] = pack_half_to_snorm2x16(half2(c.xy));
  unpacked[0] = unpack_unorm4x8_to_float(0x80ff0040);
  unpacked[1] = unpack_snorm4x8_to_float(0x80ff0140);
  unpacked[2] = float4(unpack_unorm2x16_to_float(0x8000ffff), unpack_snorm2x16_to_float(0x8000ffff));
  unpacked[3] = unpack_unorm10a2_to_float(0xc00003ff);
  unpacked[4] = float4(unpack_unorm565_to_float(0xf81f), 0);
  unpacked[5] = unpack_unorm4x8_srgb_to_float(0x80ff0a40);
  unpacked[6] = float4(unpack_unorm4x8_to_half(0x80ff0040));
}
