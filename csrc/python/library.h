// metalwright._native.Library: a compiled library together with the device it belongs to.
#pragma once

#include "device.h"

#include <pybind11/pybind11.h>

namespace metalwright::python {

struct NativeLibrary {
  std::shared_ptr<Device> device;
  std::shared_ptr<Library> library;
};

// {"index or name": number or sequence of numbers} as C++ values.
ConstantValues constant_values(const pybind11::handle& constants);

void register_library(pybind11::module_& module);

} // namespace metalwright::python
