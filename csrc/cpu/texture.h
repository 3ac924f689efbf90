// What generated code calls to read, write and sample a texture.
#pragma once

#include <cstdint>

namespace metalwright {
struct Sampler;
struct Texture;
} // namespace metalwright

namespace metalwright::cpu {

// Two of a texel's four components at a time, `half` 0 (red, green) or 1 (blue, alpha): the bits of
// floats, or of 32-bit integers where the format holds integers. Scalars only, so that every
// engine can pass and take them. Coordinates that the texture does not have read as zero and drop
// what is written.
extern "C" {
std::uint64_t metalwright_texture_read(const Texture* texture, std::uint32_t x, std::uint32_t y,
                                       std::uint32_t z, std::uint32_t layer, std::uint32_t level,
                                       std::uint32_t half);
void metalwright_texture_write(const Texture* texture, std::uint32_t x, std::uint32_t y,
                               std::uint32_t z, std::uint32_t layer, std::uint32_t level,
                               std::uint64_t low, std::uint64_t high);
// `lod` above 0 is a minification. Offsets are in texels, along each axis.
std::uint64_t metalwright_texture_sample(const Texture* texture, std::uint64_t sampler, float x,
                                         float y, float z, std::uint32_t layer,
                                         std::int32_t offset_x, std::int32_t offset_y,
                                         std::int32_t offset_z, float lod, std::uint32_t half);
// One component of the four texels around a place, in the order of Metal's gather.
std::uint64_t metalwright_texture_gather(const Texture* texture, std::uint64_t sampler, float x,
                                         float y, std::uint32_t layer, std::int32_t offset_x,
                                         std::int32_t offset_y, std::uint32_t component,
                                         std::uint32_t half);
std::uint64_t metalwright_texture_sampler_state(const Sampler* sampler);
// `what`: 0 width, 1 height, 2 depth, 3 layers, 4 mip levels.
std::uint32_t metalwright_texture_size(const Texture* texture, std::uint32_t what,
                                       std::uint32_t level);
}

} // namespace metalwright::cpu
