// The names of texture kinds and pixel formats, and which texture fits which argument.
#include "textures.h"

#include <utility>

namespace metalwright {
namespace {

constexpr std::pair<const char*, TextureKind> kKinds[] = {
    {"buffer", TextureKind::buffer},     {"1d", TextureKind::d1},
    {"1d_array", TextureKind::d1_array}, {"2d", TextureKind::d2},
    {"2d_array", TextureKind::d2_array}, {"3d", TextureKind::d3},
};

// What the source calls a texture of that kind.
constexpr std::pair<const char*, TextureKind> kTypes[] = {
    {"texture_buffer", TextureKind::buffer},
    {"texture1d", TextureKind::d1},
    {"texture1d_array", TextureKind::d1_array},
    {"texture2d", TextureKind::d2},
    {"texture2d_array", TextureKind::d2_array},
    {"texture3d", TextureKind::d3},
    {"depth2d", TextureKind::d2},
    {"depth2d_array", TextureKind::d2_array},
};

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix))
    return false;
  text.remove_prefix(prefix.size());
  return true;
}

} // namespace

std::optional<PixelFormat> parse_pixel_format(std::string_view name) {
  PixelFormat format;
  if (take(name, "bgra8unorm")) {
    format = {ChannelType::unorm, 4, 8, true, false};
    format.srgb = take(name, "_srgb");
    return name.empty() ? std::optional(format) : std::nullopt;
  }
  if (take(name, "rgba"))
    format.channels = 4;
  else if (take(name, "rg"))
    format.channels = 2;
  else if (take(name, "r") || take(name, "depth"))
    format.channels = 1;
  else
    return std::nullopt;
  if (take(name, "8"))
    format.bits = 8;
  else if (take(name, "16"))
    format.bits = 16;
  else if (take(name, "32"))
    format.bits = 32;
  else
    return std::nullopt;
  if (name == "unorm" || name == "unorm_srgb") {
    format.type = ChannelType::unorm;
    format.srgb = name != "unorm";
  } else if (name == "snorm") {
    format.type = ChannelType::snorm;
  } else if (name == "uint") {
    format.type = ChannelType::unsigned_integer;
  } else if (name == "sint") {
    format.type = ChannelType::signed_integer;
  } else if (name == "float") {
    format.type = ChannelType::floating;
  } else {
    return std::nullopt;
  }
  const bool normalised = format.type == ChannelType::unorm || format.type == ChannelType::snorm;
  if ((normalised && format.bits == 32) || (format.srgb && format.bits != 8) ||
      (format.type == ChannelType::floating && format.bits == 8))
    return std::nullopt;
  return format;
}

std::optional<TextureKind> parse_texture_kind(std::string_view name) {
  for (const auto& [known, kind] : kKinds)
    if (name == known)
      return kind;
  return std::nullopt;
}

const char* name(TextureKind kind) {
  for (const auto& known : kKinds)
    if (known.second == kind)
      return known.first;
  return "?";
}

std::string texture_mismatch(const Texture& texture, std::string_view type_name) {
  const std::size_t open = type_name.find('<');
  const std::string_view type = type_name.substr(0, open);
  std::string_view component =
      open == std::string_view::npos ? std::string_view() : type_name.substr(open + 1);
  component = component.substr(0, component.find_first_of(",> "));
  for (const auto& [known, kind] : kTypes)
    if (type == known && kind != texture.kind)
      return std::string("takes a texture of kind '") + metalwright::name(kind) +
             "', and this one is of kind '" + metalwright::name(texture.kind) + "'";
  const bool is_signed = component == "int" || component == "short";
  const bool is_unsigned = component == "uint" || component == "ushort";
  const ChannelType stored = texture.format.type;
  const bool fits = is_signed     ? stored == ChannelType::signed_integer
                    : is_unsigned ? stored == ChannelType::unsigned_integer
                                  : stored != ChannelType::signed_integer &&
                                        stored != ChannelType::unsigned_integer;
  if (!fits && !component.empty())
    return "takes a texture with " +
           std::string(is_signed     ? "sint"
                       : is_unsigned ? "uint"
                                     : "float, unorm or snorm") +
           " channels, and this one has another pixel format";
  return {};
}

} // namespace metalwright
