// Which devices there are, what they say of themselves, and compiling for one of them.
#include "python/devices.h"

#include "device.h"
#include "python/device_registry.h"
#include "python/library.h"
#include "python/messages.h"

#include <pybind11/stl.h>

namespace py = pybind11;

namespace metalwright::python {

// What the capsules of other modules hold is a std::shared_ptr<metalwright::Device>*; the number
// changes whenever device.h does in a way that an older module would misread.
static constexpr const char* capsule_name = "metalwright.device.1";

static void register_capsule(const py::object& capsule) {
  if (!PyCapsule_IsValid(capsule.ptr(), capsule_name))
    throw messages::not_a_device_capsule(capsule_name);
  auto device =
      *static_cast<std::shared_ptr<Device>*>(PyCapsule_GetPointer(capsule.ptr(), capsule_name));
  const py::gil_scoped_release released;
  register_device(std::move(device));
}

static py::capsule native_device(const std::string& name) {
  auto device = std::make_unique<std::shared_ptr<Device>>(device_named(name));
  py::capsule capsule(device.get(), capsule_name, [](PyObject* object) {
    delete static_cast<std::shared_ptr<Device>*>(PyCapsule_GetPointer(object, capsule_name));
  });
  device.release();
  return capsule;
}

static MathMode math_mode(const std::string& name) {
  if (name == "safe")
    return MathMode::safe;
  if (name == "relaxed")
    return MathMode::relaxed;
  if (name == "fast")
    return MathMode::fast;
  throw messages::bad_option("math_mode", name, "'safe', 'relaxed' or 'fast'");
}

static MathFunctions math_functions(const std::string& name) {
  if (name == "precise")
    return MathFunctions::precise;
  if (name == "fast")
    return MathFunctions::fast;
  throw messages::bad_option("math_functions", name, "'precise' or 'fast'");
}

static NativeLibrary compile(const std::string& source, const std::string& device,
                             const std::string& mode, const std::optional<std::string>& functions,
                             std::uint32_t language_version,
                             std::vector<std::pair<std::string, std::string>> macros,
                             std::vector<std::string> include_paths, std::string file_name,
                             bool check) {
  CompileOptions options;
  options.math_mode = math_mode(mode);
  if (functions)
    options.math_functions = math_functions(*functions);
  options.language_version = language_version;
  options.macros = std::move(macros);
  options.include_paths = std::move(include_paths);
  options.file_name = std::move(file_name);
  options.check = check;
  const py::gil_scoped_release released;
  NativeLibrary library;
  library.device = device_named(device);
  library.library = library.device->compile(source, options);
  return library;
}

static NativeLibrary load_metallib(const std::string& path, const std::string& device) {
  const py::gil_scoped_release released;
  NativeLibrary library;
  library.device = device_named(device);
  library.library = library.device->load_metallib(path);
  return library;
}

void register_devices(py::module_& module) {
  py::class_<DeviceInfo>(module, "DeviceInfo")
      .def_readonly("kind", &DeviceInfo::kind)
      .def_readonly("name", &DeviceInfo::name)
      .def_readonly("architecture", &DeviceInfo::architecture)
      .def_readonly("compute_units", &DeviceInfo::compute_units)
      .def_readonly("unified_memory", &DeviceInfo::unified_memory)
      .def_readonly("max_buffers", &DeviceInfo::max_buffers)
      .def_readonly("max_threads_per_threadgroup", &DeviceInfo::max_threads_per_threadgroup)
      .def_readonly("max_threadgroup_memory", &DeviceInfo::max_threadgroup_memory)
      .def_readonly("max_inline_bytes", &DeviceInfo::max_inline_bytes)
      .def_readonly("thread_execution_width", &DeviceInfo::thread_execution_width)
      .def_readonly("clock", &DeviceInfo::clock)
      .def_readonly("details", &DeviceInfo::details)
      .def("__repr__", [](const DeviceInfo& self) {
        return "DeviceInfo(kind='" + self.kind + "', name='" + self.name + "', architecture='" +
               self.architecture + "', compute_units=" + std::to_string(self.compute_units) + ")";
      });
  py::class_<DeviceState>(module, "DeviceState")
      .def_readonly("thermal_state", &DeviceState::thermal_state)
      .def_readonly("low_power_mode", &DeviceState::low_power_mode);
  module.def(
      "devices",
      [] {
        std::vector<DeviceInfo> infos;
        for (const auto& device : present_devices())
          infos.push_back(device->info());
        return infos;
      },
      py::call_guard<py::gil_scoped_release>());
  module.def(
      "device_info", [](const std::string& device) { return device_named(device)->info(); },
      py::arg("device"), py::call_guard<py::gil_scoped_release>());
  module.def(
      "device_state", [](const std::string& device) { return device_named(device)->state(); },
      py::arg("device"), py::call_guard<py::gil_scoped_release>());
  module.def(
      "empty_dispatch_seconds",
      [](const std::string& device) { return device_named(device)->empty_dispatch_seconds(); },
      py::arg("device"), py::call_guard<py::gil_scoped_release>());
  module.def("register_device", &register_capsule, py::arg("capsule"));
  module.def("unregister_device", &unregister_device, py::arg("kind"),
             py::call_guard<py::gil_scoped_release>());
  module.def("native_device", &native_device, py::arg("kind"));
  module.def("registry_generation", &registry_generation);
  module.def("load_metallib", &load_metallib, py::arg("path"), py::arg("device"));
  module.def("compile", &compile, py::arg("source"), py::arg("device"), py::arg("math_mode"),
             py::arg("math_functions"), py::arg("language_version"), py::arg("macros"),
             py::arg("include_paths"), py::arg("file_name"), py::arg("check") = false);
}

} // namespace metalwright::python
