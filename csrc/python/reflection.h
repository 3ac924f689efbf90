// Plain data that Python reads: diagnostics, kernel arguments, what a dispatch measured.
#pragma once

#include <pybind11/pybind11.h>

namespace metalwright::python {

void register_reflection(pybind11::module_& module);

} // namespace metalwright::python
