// What only Metal devices have (csrc/metal/facilities.h), for Python.
#pragma once

#include <pybind11/pybind11.h>

namespace metalwright::python {

void register_facilities(pybind11::module_& module);

} // namespace metalwright::python
