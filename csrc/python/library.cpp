// metalwright._native.Library: a compiled library together with the device it belongs to.
#include "python/library.h"

#include "python/errors.h"

#if METALWRIGHT_CPU
#include "cpu/metallib_library.h"
#endif

#include <pybind11/stl.h>

namespace py = pybind11;

namespace metalwright::python {

static ConstantNumber constant_number(const py::handle& value, const std::string& name) {
  if (PyBool_Check(value.ptr()))
    return value.ptr() == Py_True;
  if (PyFloat_Check(value.ptr()))
    return PyFloat_AS_DOUBLE(value.ptr());
  if (PyIndex_Check(value.ptr()) != 0) {
    const py::object integer = owned(PyNumber_Index(value.ptr()));
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(integer.ptr(), &overflow);
    if (overflow == 0)
      return static_cast<std::int64_t>(number);
    // The upper half of uint64: the same bits.
    const unsigned long long wide = overflow > 0 ? PyLong_AsUnsignedLongLong(integer.ptr()) : 0;
    if (overflow > 0 && PyErr_Occurred() == nullptr)
      return static_cast<std::int64_t>(wide);
    PyErr_Clear();
    throw Error("bad-constant",
                "function constant '" + name + "': the integer needs more than 64 bits");
  }
  const double number = PyFloat_AsDouble(value.ptr());
  if (number == -1 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw Error("bad-constant", "function constant '" + name +
                                    "': expected a number or a tuple of numbers, got " +
                                    std::string(Py_TYPE(value.ptr())->tp_name));
  }
  return number;
}

ConstantValues constant_values(const py::handle& constants) {
  ConstantValues values;
  if (constants.is_none())
    return values;
  if (!PyDict_Check(constants.ptr()))
    throw Error("bad-constant", "constants= takes a dictionary from index or name to value");
  for (const auto& [key, value] : py::reinterpret_borrow<py::dict>(constants)) {
    const std::string name = py::str(key);
    ConstantValue& constant = values[name];
    if (PyTuple_Check(value.ptr()) || PyList_Check(value.ptr()))
      for (const py::handle& element : py::reinterpret_borrow<py::sequence>(value))
        constant.elements.push_back(constant_number(element, name));
    else
      constant.elements.push_back(constant_number(value, name));
  }
  return values;
}

void register_library(py::module_& module) {
  py::class_<FunctionConstant>(module, "FunctionConstant")
      .def_readonly("index", &FunctionConstant::index)
      .def_readonly("name", &FunctionConstant::name)
      .def_readonly("type_name", &FunctionConstant::type_name)
      .def_readonly("required", &FunctionConstant::required)
      .def("__repr__", [](const FunctionConstant& self) {
        return "FunctionConstant(index=" + std::to_string(self.index) + ", name='" + self.name +
               "', type_name='" + self.type_name + "')";
      });
  py::class_<NativeLibrary>(module, "Library")
      .def_property_readonly("kernel_names",
                             [](const NativeLibrary& self) { return self.library->kernel_names(); })
      .def_property_readonly(
          "function_constants",
          [](const NativeLibrary& self) { return self.library->function_constants(); })
      .def_property_readonly("warnings",
                             [](const NativeLibrary& self) { return self.library->warnings(); })
      .def("describe", [](const NativeLibrary& self, const std::string& name) {
        const py::gil_scoped_release released;
        return self.library->describe(name);
      });
#if METALWRIGHT_CPU
  py::class_<cpu::IntrinsicUse>(module, "IntrinsicUse")
      .def_readonly("name", &cpu::IntrinsicUse::name)
      .def_readonly("kernels", &cpu::IntrinsicUse::kernels)
      .def_readonly("example", &cpu::IntrinsicUse::example)
      .def_readonly("is_supported", &cpu::IntrinsicUse::is_supported);
  module.def("metallib_intrinsics", &cpu::metallib_intrinsics, py::arg("path"),
             py::call_guard<py::gil_scoped_release>());
#endif
  py::class_<KernelDescription>(module, "KernelDescription")
      .def_readonly("name", &KernelDescription::name)
      .def_readonly("arguments", &KernelDescription::arguments)
      .def_readonly("function_constants", &KernelDescription::function_constants)
      .def_readonly("max_total_threads_per_threadgroup",
                    &KernelDescription::max_total_threads_per_threadgroup);
}

} // namespace metalwright::python
