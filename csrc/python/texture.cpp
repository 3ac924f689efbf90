// The types metalwright._native.Texture and Sampler.
#include "python/texture.h"

#include "device.h"

#include <pybind11/stl.h>

namespace py = pybind11;

namespace metalwright::python {
namespace {

PyTypeObject* texture_type = nullptr;
PyTypeObject* sampler_type = nullptr;

constexpr std::uint32_t kMaxSide = 16384, kMaxDeepSide = 2048, kMaxLayers = 2048,
                        kMaxBuffer = 1u << 28;

TextureObject make_texture(const std::string& kind, const std::string& format,
                           const std::vector<std::uint64_t>& size) {
  TextureObject made;
  const auto known_kind = parse_texture_kind(kind);
  if (!known_kind)
    throw Error("bad-option",
                "kind='" + kind +
                    "': expected 'buffer', '1d', '1d_array', '2d', '2d_array' or '3d'");
  const auto known_format = parse_pixel_format(format);
  if (!known_format)
    throw Error("bad-option", "format='" + format +
                                  "': expected r, rg or rgba, then 8, 16 or 32, then unorm, snorm, "
                                  "uint, sint or float, such as 'rgba8unorm' or 'r32float'");
  made.format = format;
  made.texture.kind = *known_kind;
  made.texture.format = *known_format;
  const bool is_array =
      *known_kind == TextureKind::d1_array || *known_kind == TextureKind::d2_array;
  const unsigned spatial = *known_kind == TextureKind::d3 ? 3
                           : *known_kind == TextureKind::d2 || *known_kind == TextureKind::d2_array
                               ? 2
                               : 1;
  if (size.size() != spatial + (is_array ? 1 : 0))
    throw Error("bad-shape", "a texture of kind '" + kind + "' has " +
                                 std::to_string(spatial + (is_array ? 1 : 0)) +
                                 " dimensions, but " + std::to_string(size.size()) + " were given");
  std::uint64_t bytes = known_format->bytes();
  for (std::size_t i = 0; i < size.size(); ++i) {
    const bool layers = is_array && i == 0;
    const std::uint64_t most = layers                               ? kMaxLayers
                               : *known_kind == TextureKind::buffer ? kMaxBuffer
                               : spatial == 3                       ? kMaxDeepSide
                                                                    : kMaxSide;
    if (size[i] == 0 || size[i] > most)
      throw Error("bad-shape", "a texture of kind '" + kind + "' has between 1 and " +
                                   std::to_string(most) + (layers ? " slices" : " texels a side") +
                                   ", not " + std::to_string(size[i]));
    bytes *= size[i];
  }
  if (bytes > std::uint64_t{1} << 34)
    throw Error("bad-shape", "a texture of " + std::to_string(bytes) + " bytes is too large");
  const auto side = [&](std::size_t from_end) {
    return from_end < spatial ? static_cast<std::uint32_t>(size[size.size() - 1 - from_end]) : 1u;
  };
  made.texture.width = side(0);
  made.texture.height = side(1);
  made.texture.depth = side(2);
  made.texture.layers = is_array ? static_cast<std::uint32_t>(size[0]) : 1;
  made.memory.resize(bytes);
  made.texture.data = made.memory.data();
  return made;
}

} // namespace

const Texture* as_texture(PyObject* object) {
  return PyObject_TypeCheck(object, texture_type) != 0
             ? &py::handle(object).cast<const TextureObject*>()->texture
             : nullptr;
}

const Sampler* as_sampler(PyObject* object) {
  return PyObject_TypeCheck(object, sampler_type) != 0 ? py::handle(object).cast<const Sampler*>()
                                                       : nullptr;
}

void register_textures(py::module_& module) {
  const auto texture =
      py::class_<TextureObject>(module, "Texture", py::buffer_protocol())
          .def(py::init([](const std::string& kind, const std::string& format,
                           const std::vector<std::uint64_t>& size) {
                 auto made = std::make_unique<TextureObject>(make_texture(kind, format, size));
                 made->texture.data = made->memory.data();
                 return made;
               }),
               py::arg("kind"), py::arg("format"), py::arg("size"))
          .def_buffer([](TextureObject& self) {
            return py::buffer_info(reinterpret_cast<std::uint8_t*>(self.memory.data()),
                                   static_cast<py::ssize_t>(self.memory.size()));
          })
          .def_property_readonly(
              "kind",
              [](const TextureObject& self) { return std::string(name(self.texture.kind)); })
          .def_readonly("format", &TextureObject::format)
          .def_property_readonly("width",
                                 [](const TextureObject& self) { return self.texture.width; })
          .def_property_readonly("height",
                                 [](const TextureObject& self) { return self.texture.height; })
          .def_property_readonly("depth",
                                 [](const TextureObject& self) { return self.texture.depth; })
          .def_property_readonly("layers",
                                 [](const TextureObject& self) { return self.texture.layers; })
          .def_property_readonly("channels",
                                 [](const TextureObject& self) {
                                   return static_cast<unsigned>(self.texture.format.channels);
                                 })
          .def_property_readonly("nbytes",
                                 [](const TextureObject& self) { return self.memory.size(); });
  texture_type = reinterpret_cast<PyTypeObject*>(texture.ptr());
  const auto sampler =
      py::class_<Sampler>(module, "Sampler")
          .def(py::init([](std::uint64_t state) { return Sampler{{state, 0}}; }), py::arg("state"))
          .def_property_readonly("state", [](const Sampler& self) { return self.state[0]; });
  sampler_type = reinterpret_cast<PyTypeObject*>(sampler.ptr());
}

} // namespace metalwright::python
