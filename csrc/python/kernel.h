// The type metalwright._native.Kernel: a callable that dispatches.
#pragma once

#include <pybind11/pybind11.h>

namespace metalwright::python {

void register_kernel(pybind11::module_& module);

} // namespace metalwright::python
