// Textures and samplers as Python objects.
#pragma once

#include "textures.h"

#include <pybind11/pybind11.h>

#include <cstddef>
#include <vector>

namespace metalwright::python {

// A texture with memory of its own.
struct TextureObject {
  Texture texture;
  std::string format;
  std::vector<std::byte> memory;
};

// What is behind a Python object; null if it is something else.
const Texture* as_texture(PyObject* object);
const Sampler* as_sampler(PyObject* object);

void register_textures(pybind11::module_& module);

} // namespace metalwright::python
