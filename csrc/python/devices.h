// Which devices there are, what they say of themselves, and compiling for one of them.
#pragma once

#include <pybind11/pybind11.h>

namespace metalwright::python {

void register_devices(pybind11::module_& module);

} // namespace metalwright::python
