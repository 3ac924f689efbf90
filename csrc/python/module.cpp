// metalwright._native: registers the groups of bindings, nothing else.
#include "python/buffer.h"
#include "python/devices.h"
#include "python/errors.h"
#include "python/facilities.h"
#include "python/kernel.h"
#include "python/library.h"
#include "python/observation.h"
#include "python/reflection.h"
#include "python/texture.h"

PYBIND11_MODULE(_native, module) {
  module.doc() = "The native half of metalwright; use the package metalwright instead.";
  metalwright::python::register_errors(module);
  metalwright::python::register_reflection(module);
  metalwright::python::register_devices(module);
  metalwright::python::register_library(module);
  metalwright::python::register_buffer(module);
  metalwright::python::register_textures(module);
  metalwright::python::register_facilities(module);
  metalwright::python::register_kernel(module);
  metalwright::python::register_observation(module);
}
