// Texels in memory: their formats, and sampling between them.
#include "cpu/texture.h"

#include "cpu/small_floats.h"
#include "textures.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace metalwright::cpu {
namespace {

using Words = std::array<std::uint32_t, 4>; // red, green, blue, alpha

bool holds_integers(const PixelFormat& format) {
  return format.type == ChannelType::unsigned_integer || format.type == ChannelType::signed_integer;
}

// A missing channel is 0, a missing alpha 1.
Words missing(const PixelFormat& format) {
  return {0, 0, 0, holds_integers(format) ? 1u : std::bit_cast<std::uint32_t>(1.0f)};
}

std::byte* address(const Texture& texture, std::uint32_t x, std::uint32_t y, std::uint32_t z,
                   std::uint32_t layer) {
  if (x >= texture.width || y >= texture.height || z >= texture.depth || layer >= texture.layers)
    return nullptr;
  const std::uint64_t slice = std::uint64_t{layer} * texture.depth + z;
  const std::uint64_t texel = (slice * texture.height + y) * texture.width + x;
  return static_cast<std::byte*>(texture.data) + texel * texture.format.bytes();
}

float from_srgb(float value) {
  return value <= 0.04045f ? value / 12.92f : std::pow((value + 0.055f) / 1.055f, 2.4f);
}
float to_srgb(float value) {
  return value <= 0.0031308f ? value * 12.92f : 1.055f * std::pow(value, 1.0f / 2.4f) - 0.055f;
}

std::uint32_t unpack(std::uint32_t stored, const PixelFormat& format, unsigned channel) {
  const unsigned bits = format.bits;
  const auto extended = static_cast<std::int32_t>(stored << (32 - bits)) >> (32 - bits);
  float value = 0;
  switch (format.type) {
  case ChannelType::unsigned_integer:
    return stored;
  case ChannelType::signed_integer:
    return static_cast<std::uint32_t>(extended);
  case ChannelType::floating:
    return bits == 32 ? stored
                      : std::bit_cast<std::uint32_t>(static_cast<float>(
                            std::bit_cast<Half>(static_cast<std::uint16_t>(stored))));
  case ChannelType::unorm:
    value = static_cast<float>(stored) / static_cast<float>((1u << bits) - 1);
    if (format.srgb && channel < 3)
      value = from_srgb(value);
    break;
  case ChannelType::snorm:
    value =
        std::max(-1.0f, static_cast<float>(extended) / static_cast<float>((1u << (bits - 1)) - 1));
    break;
  }
  return std::bit_cast<std::uint32_t>(value);
}

std::uint32_t pack(std::uint32_t word, const PixelFormat& format, unsigned channel) {
  const unsigned bits = format.bits;
  float value = std::bit_cast<float>(word);
  switch (format.type) {
  case ChannelType::unsigned_integer:
    return bits == 32 ? word : std::min(word, (1u << bits) - 1);
  case ChannelType::signed_integer: {
    if (bits == 32)
      return word;
    const std::int32_t most = (1 << (bits - 1)) - 1;
    return static_cast<std::uint32_t>(std::clamp(static_cast<std::int32_t>(word), -most - 1, most));
  }
  case ChannelType::floating:
    return bits == 32 ? word : Half(value).bits;
  case ChannelType::unorm:
    value = value >= 0 ? std::min(value, 1.0f) : 0.0f; // a NaN is 0
    if (format.srgb && channel < 3)
      value = to_srgb(value);
    return static_cast<std::uint32_t>(std::nearbyint(value * static_cast<float>((1u << bits) - 1)));
  case ChannelType::snorm:
    value = value != value ? 0.0f : std::clamp(value, -1.0f, 1.0f);
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(
        std::nearbyint(value * static_cast<float>((1u << (bits - 1)) - 1))));
  }
  return 0;
}

// The channel of memory that component `channel` is stored in.
unsigned place_of(const PixelFormat& format, unsigned channel) {
  return format.bgra && channel < 3 ? 2 - channel : channel;
}

Words load(const std::byte* texel, const PixelFormat& format) {
  Words words = missing(format);
  const unsigned size = format.bits / 8;
  for (unsigned channel = 0; channel < format.channels; ++channel) {
    std::uint32_t stored = 0;
    std::memcpy(&stored, texel + place_of(format, channel) * size, size);
    words[channel] = unpack(stored, format, channel);
  }
  return words;
}

void store(std::byte* texel, const PixelFormat& format, const Words& words) {
  const unsigned size = format.bits / 8;
  for (unsigned channel = 0; channel < format.channels; ++channel) {
    const std::uint32_t stored = pack(words[channel], format, channel);
    std::memcpy(texel + place_of(format, channel) * size, &stored, size);
  }
}

std::uint64_t joined(const Words& words, std::uint32_t half) {
  return words[half * 2] | std::uint64_t{words[half * 2 + 1]} << 32;
}

// ------------------------------------------------------------------------------ sampling

struct SamplerBits {
  std::uint64_t bits;
  unsigned address_mode(unsigned axis) const { return bits >> (3 * axis) & 7; }
  bool is_linear(bool minify) const {
    return (bits >> (minify ? sampler_state::kMinFilter : sampler_state::kMagFilter) & 3) != 0;
  }
  bool pixel_coordinates() const { return (bits >> sampler_state::kPixelCoordinates & 1) != 0; }
  unsigned border() const { return bits >> sampler_state::kBorderColour & 3; }
};

// The texel that a place along an axis means; -1: outside, where the border colour is.
std::int64_t wrapped(std::int64_t place, std::int64_t size, unsigned mode) {
  switch (mode) {
  case sampler_state::kRepeat:
    place %= size;
    return place < 0 ? place + size : place;
  case sampler_state::kMirror:
    place %= 2 * size;
    if (place < 0)
      place += 2 * size;
    return place < size ? place : 2 * size - 1 - place;
  case sampler_state::kClampToEdge:
    return std::clamp<std::int64_t>(place, 0, size - 1);
  default:
    return place >= 0 && place < size ? place : -1;
  }
}

Words border(const PixelFormat& format, unsigned colour) {
  const std::uint32_t one = holds_integers(format) ? 1u : std::bit_cast<std::uint32_t>(1.0f);
  const std::uint32_t white = colour == 2 ? one : 0;
  // Transparent black has an alpha of 0 only where the format stores one.
  const bool transparent = colour == 0 && format.channels == 4;
  Words words{white, 0, 0, transparent ? 0 : one};
  if (format.channels > 1)
    words[1] = white;
  if (format.channels > 2)
    words[2] = white;
  return words;
}

struct Axis {
  std::int64_t first = 0; // the lower of the two texels
  float weight = 0;       // of the upper one
};

Axis place(float coordinate, std::uint32_t size, bool pixels, bool linear, std::int32_t offset) {
  if (!pixels)
    coordinate *= static_cast<float>(size);
  coordinate += static_cast<float>(offset) - (linear ? 0.5f : 0.0f);
  // What is no number is somewhere; what is far away is far away.
  if (!(std::fabs(coordinate) < 1e9f))
    coordinate = coordinate > 0 ? 1e9f : coordinate < 0 ? -1e9f : 0.0f;
  const float floor = std::floor(coordinate);
  return {static_cast<std::int64_t>(floor), linear ? coordinate - floor : 0.0f};
}

Words texel_at(const Texture& texture, SamplerBits sampler, std::array<std::int64_t, 3> at,
               std::uint32_t layer) {
  const std::uint32_t sizes[3] = {texture.width, texture.height, texture.depth};
  for (unsigned axis = 0; axis < 3; ++axis) {
    at[axis] = wrapped(at[axis], sizes[axis], sampler.address_mode(axis));
    if (at[axis] < 0)
      return border(texture.format, sampler.border());
  }
  const std::byte* memory =
      address(texture, static_cast<std::uint32_t>(at[0]), static_cast<std::uint32_t>(at[1]),
              static_cast<std::uint32_t>(at[2]), layer);
  return load(memory, texture.format);
}

} // namespace

extern "C" {

std::uint64_t metalwright_texture_read(const Texture* texture, std::uint32_t x, std::uint32_t y,
                                       std::uint32_t z, std::uint32_t layer, std::uint32_t level,
                                       std::uint32_t half) {
  const std::byte* texel = level == 0 ? address(*texture, x, y, z, layer) : nullptr;
  return texel ? joined(load(texel, texture->format), half) : 0;
}

void metalwright_texture_write(const Texture* texture, std::uint32_t x, std::uint32_t y,
                               std::uint32_t z, std::uint32_t layer, std::uint32_t level,
                               std::uint64_t low, std::uint64_t high) {
  std::byte* texel = level == 0 ? address(*texture, x, y, z, layer) : nullptr;
  if (texel)
    store(texel, texture->format,
          {static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(low >> 32),
           static_cast<std::uint32_t>(high), static_cast<std::uint32_t>(high >> 32)});
}

std::uint64_t metalwright_texture_sample(const Texture* texture, std::uint64_t state, float x,
                                         float y, float z, std::uint32_t layer,
                                         std::int32_t offset_x, std::int32_t offset_y,
                                         std::int32_t offset_z, float lod, std::uint32_t half) {
  const SamplerBits sampler{state};
  // Integers have no values between them.
  const bool linear = sampler.is_linear(lod > 0) && !holds_integers(texture->format);
  const bool pixels = sampler.pixel_coordinates();
  const bool flat = texture->kind == TextureKind::d1 || texture->kind == TextureKind::d1_array;
  const bool deep = texture->kind == TextureKind::d3;
  layer = std::min(layer, texture->layers - 1); // Metal clamps the index of a slice
  const Axis axes[3] = {
      place(x, texture->width, pixels, linear, offset_x),
      flat ? Axis{} : place(y, texture->height, pixels, linear, offset_y),
      deep ? place(z, texture->depth, pixels, linear, offset_z) : Axis{},
  };
  if (!linear)
    return joined(texel_at(*texture, sampler, {axes[0].first, axes[1].first, axes[2].first}, layer),
                  half);
  float sum[4] = {};
  for (unsigned corner = 0; corner < 8; ++corner) {
    float weight = 1;
    std::array<std::int64_t, 3> at{};
    for (unsigned axis = 0; axis < 3; ++axis) {
      const unsigned upper = corner >> axis & 1;
      weight *= upper ? axes[axis].weight : 1 - axes[axis].weight;
      at[axis] = axes[axis].first + upper;
    }
    if (weight == 0)
      continue;
    const Words words = texel_at(*texture, sampler, at, layer);
    for (unsigned channel = 0; channel < 4; ++channel)
      sum[channel] += weight * std::bit_cast<float>(words[channel]);
  }
  return joined({std::bit_cast<std::uint32_t>(sum[0]), std::bit_cast<std::uint32_t>(sum[1]),
                 std::bit_cast<std::uint32_t>(sum[2]), std::bit_cast<std::uint32_t>(sum[3])},
                half);
}

std::uint64_t metalwright_texture_gather(const Texture* texture, std::uint64_t state, float x,
                                         float y, std::uint32_t layer, std::int32_t offset_x,
                                         std::int32_t offset_y, std::uint32_t component,
                                         std::uint32_t half) {
  const SamplerBits sampler{state};
  const bool pixels = sampler.pixel_coordinates();
  const Axis column = place(x, texture->width, pixels, true, offset_x);
  const Axis row = place(y, texture->height, pixels, true, offset_y);
  layer = std::min(layer, texture->layers - 1);
  // Against the clock from the lower left: (0, 1), (1, 1), (1, 0), (0, 0).
  constexpr std::int64_t kOrder[4][2] = {{0, 1}, {1, 1}, {1, 0}, {0, 0}};
  Words words{};
  for (unsigned i = 0; i < 4; ++i)
    words[i] =
        texel_at(*texture, sampler, {column.first + kOrder[i][0], row.first + kOrder[i][1], 0},
                 layer)[component & 3];
  return joined(words, half);
}

std::uint64_t metalwright_texture_sampler_state(const Sampler* sampler) {
  return sampler->state[0];
}

std::uint32_t metalwright_texture_size(const Texture* texture, std::uint32_t what,
                                       std::uint32_t level) {
  if (what == 4)
    return 1;
  if (what == 3)
    return texture->layers;
  const std::uint32_t sizes[3] = {texture->width, texture->height, texture->depth};
  return what < 3 ? std::max(1u, level < 32 ? sizes[what] >> level : 0u) : 0;
}

} // extern "C"

} // namespace metalwright::cpu
