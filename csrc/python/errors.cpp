// The one place where C++ exceptions become Python exceptions.
#include "python/errors.h"

#include "located_error.h"

#include <new>

namespace py = pybind11;

namespace metalwright::python {

namespace {

// The classes live in Python (metalwright.errors, metalwright.runtime.errors), which hands them
// over when it is imported: one exception type serves the native and the Python half.
struct ErrorTypes {
  PyObject* error = nullptr;
  PyObject* compile_error = nullptr;
  PyObject* dispatch_error = nullptr;
  PyObject* aliasing_warning = nullptr;
} types;

void raise(PyObject* type, const std::string& first, const py::object& second) {
  if (type == nullptr) { // metalwright._native used without metalwright.runtime
    PyErr_SetString(PyExc_RuntimeError, first.c_str());
    return;
  }
  const py::object instance = py::reinterpret_steal<py::object>(PyObject_CallFunction(
      type, "NO", PyUnicode_FromStringAndSize(first.data(), static_cast<Py_ssize_t>(first.size())),
      second.ptr()));
  if (instance)
    PyErr_SetObject(type, instance.ptr());
}

py::object text(const char* message) {
  return py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
      message, static_cast<Py_ssize_t>(std::char_traits<char>::length(message)), "replace"));
}

void raise_located(const LocatedDispatchError& error) {
  if (types.dispatch_error == nullptr)
    return raise(types.dispatch_error, error.code(), text(error.what()));
  const py::object instance = py::reinterpret_steal<py::object>(
      PyObject_CallFunction(types.dispatch_error, "sOsO", error.code().c_str(),
                            text(error.what()).ptr(), "", py::cast(error.diagnostic()).ptr()));
  if (instance)
    PyErr_SetObject(types.dispatch_error, instance.ptr());
}

} // namespace

void set_python_error() noexcept {
  try {
    throw;
  } catch (const PythonErrorIsSet&) {
    return;
  } catch (const CompileError& error) {
    try {
      py::list diagnostics;
      for (const Diagnostic& diagnostic : error.diagnostics())
        diagnostics.append(py::cast(diagnostic));
      raise(types.compile_error, error.what(), diagnostics);
    } catch (...) {
      PyErr_SetString(PyExc_RuntimeError, error.what());
    }
  } catch (const LocatedDispatchError& error) {
    try {
      raise_located(error);
    } catch (...) {
      PyErr_SetString(PyExc_RuntimeError, error.what());
    }
  } catch (const DispatchError& error) {
    // An interrupt leaves its own exception (KeyboardInterrupt) behind: that is what the user
    // pressed.
    if (PyErr_Occurred() == nullptr)
      raise(types.dispatch_error, error.code(), text(error.what()));
  } catch (const Error& error) {
    raise(types.error, error.code(), text(error.what()));
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_Format(PyExc_SystemError, "metalwright: internal error: %s", error.what());
  } catch (...) {
    PyErr_SetString(PyExc_SystemError, "metalwright: internal error of unknown kind");
  }
}

void warn(const std::string& message) {
  PyObject* const category =
      types.aliasing_warning != nullptr ? types.aliasing_warning : PyExc_UserWarning;
  if (PyErr_WarnEx(category, message.c_str(), 1) != 0)
    throw PythonErrorIsSet();
}

void register_errors(py::module_& module) {
  module.def(
      "set_error_types",
      [](py::type error, py::type compile_error, py::type dispatch_error,
         py::type aliasing_warning) {
        // Kept for the life of the process: an exception may be raised while the interpreter shuts
        // down.
        types = {error.release().ptr(), compile_error.release().ptr(),
                 dispatch_error.release().ptr(), aliasing_warning.release().ptr()};
      },
      py::arg("error"), py::arg("compile_error"), py::arg("dispatch_error"),
      py::arg("aliasing_warning"));
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer)
        std::rethrow_exception(pointer);
    } catch (const Error&) {
      set_python_error();
    } catch (const PythonErrorIsSet&) {
    }
  });
}

} // namespace metalwright::python
