// The one place where C++ exceptions become Python exceptions.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace metalwright::python {

// Thrown by our own code when a Python exception is already set in this thread.
struct PythonErrorIsSet {};

// Turns the exception being handled into the Python exception that stands for it. Never throws.
void set_python_error() noexcept;

// Returns `object`, or throws PythonErrorIsSet if it is null.
inline PyObject* checked(PyObject* object) {
  if (object == nullptr)
    throw PythonErrorIsSet();
  return object;
}
inline pybind11::object owned(PyObject* object) {
  return pybind11::reinterpret_steal<pybind11::object>(checked(object));
}

// Issues metalwright.AliasingWarning at the caller's line. Throws PythonErrorIsSet if warnings are
// errors.
void warn(const std::string& message);

void register_errors(pybind11::module_& module);

} // namespace metalwright::python
