// Textures and samplers as memory of the host: what a binding of one points to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace metalwright {

enum class TextureKind : std::uint8_t { buffer, d1, d1_array, d2, d2_array, d3 };
enum class ChannelType : std::uint8_t { unorm, snorm, unsigned_integer, signed_integer, floating };

struct PixelFormat {
  ChannelType type = ChannelType::floating;
  std::uint8_t channels = 4; // 1, 2 or 4
  std::uint8_t bits = 32;    // of a channel: 8, 16 or 32
  bool bgra = false;         // blue comes first
  bool srgb = false;         // red, green and blue are stored with the sRGB curve
  std::uint32_t bytes() const { return channels * bits / 8u; }
};

// "rgba8unorm", "r32float", ...: MTLPixelFormat's names in lower case.
std::optional<PixelFormat> parse_pixel_format(std::string_view name);

// Pixels are dense: rows of `width`, planes of `height` rows, then `depth` planes or `layers`
// slices.
struct Texture {
  void* data = nullptr;
  TextureKind kind = TextureKind::d2;
  PixelFormat format;
  std::uint32_t width = 1, height = 1, depth = 1, layers = 1;
};

std::optional<TextureKind> parse_texture_kind(std::string_view name); // "2d_array"
const char* name(TextureKind kind);

// The bits that Apple's compiler gives a constexpr sampler.
struct Sampler {
  std::uint64_t state[2] = {};
};
namespace sampler_state {
inline constexpr std::uint64_t kClampToZero = 0, kClampToEdge = 1, kRepeat = 2, kMirror = 3;
inline constexpr unsigned kMagFilter = 9, kMinFilter = 11, kPixelCoordinates = 15, kCompare = 16,
                          kBorderColour = 56;
} // namespace sampler_state

// Why a texture cannot be bound to an argument of that type ("texture2d<float, sample>"), to be
// read after "it"; empty if it can.
std::string texture_mismatch(const Texture& texture, std::string_view type_name);

} // namespace metalwright
