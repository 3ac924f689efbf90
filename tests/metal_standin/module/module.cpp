// The Python module metalwright_standin._standin: registers the Metal device, injects faults, reads
// what the stand-in recorded.
#include "controls.h"
#include "device.h"
#include "metal/device.h"
#include "torch_stream.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>

namespace py = pybind11;
using namespace metal_standin;

static constexpr const char* capsule_name = "metalwright.device.1";

using DevicePointer = std::shared_ptr<metalwright::Device>;

static void take_backend(const py::object& capsule) {
  if (!PyCapsule_IsValid(capsule.ptr(), capsule_name))
    throw py::type_error("not a capsule of a device");
  set_backend(*static_cast<DevicePointer*>(PyCapsule_GetPointer(capsule.ptr(), capsule_name)));
}

// The identical csrc/metal, over the stand-in's framework.
static std::vector<py::capsule> devices() {
  std::vector<DevicePointer> found;
  {
    const py::gil_scoped_release released;
    found = metalwright::metal::metal_devices();
  }
  std::vector<py::capsule> capsules;
  for (DevicePointer& device : found)
    capsules.emplace_back(new DevicePointer(std::move(device)), capsule_name, [](PyObject* object) {
      delete static_cast<DevicePointer*>(PyCapsule_GetPointer(object, capsule_name));
    });
  return capsules;
}

static py::bytes read_buffer(std::uint64_t buffer, std::uint64_t offset, std::uint64_t length) {
  if (offset + length > torch_standin::buffer_length(buffer))
    throw py::index_error("beyond the buffer");
  return {static_cast<const char*>(torch_standin::buffer_memory(buffer)) + offset, length};
}

static void write_buffer(std::uint64_t buffer, std::uint64_t offset, const py::buffer& data) {
  const py::buffer_info info = data.request();
  const auto length = std::uint64_t(info.size * info.itemsize);
  if (offset + length > torch_standin::buffer_length(buffer))
    throw py::index_error("beyond the buffer");
  std::memcpy(static_cast<char*>(torch_standin::buffer_memory(buffer)) + offset, info.ptr, length);
}

// Making the devices may fail as any call of csrc/metal does.
static void translate(std::exception_ptr thrown) {
  try {
    if (thrown)
      std::rethrow_exception(thrown);
  } catch (const metalwright::Error& error) {
    const py::object type = py::module_::import("metalwright.errors").attr("Error");
    const py::object instance = type(error.code(), error.what());
    PyErr_SetObject(type.ptr(), instance.ptr());
  }
}

PYBIND11_MODULE(_standin, module) {
  py::register_local_exception_translator(&translate);
  const auto released = py::call_guard<py::gil_scoped_release>();
  module.def("take_backend", &take_backend);
  module.def("devices", &devices);

  py::class_<Settings>(module, "Settings")
      .def_readwrite("macos_major", &Settings::macos_major)
      .def_readwrite("macos_minor", &Settings::macos_minor)
      .def_readwrite("has_default_device", &Settings::has_default_device)
      .def_readwrite("device_count", &Settings::device_count)
      .def_readwrite("device_name", &Settings::device_name)
      .def_readwrite("apple_family", &Settings::apple_family)
      .def_readwrite("unified_memory", &Settings::unified_memory)
      .def_readwrite("thermal_state", &Settings::thermal_state)
      .def_readwrite("low_power_mode", &Settings::low_power_mode)
      .def_readwrite("capture_enabled", &Settings::capture_enabled)
      .def_readwrite("slow_seconds", &Settings::slow_seconds)
      .def_readwrite("slow_queue", &Settings::slow_queue)
      .def_readwrite("scheduling_seconds", &Settings::scheduling_seconds)
      .def_readwrite("watchdog_seconds", &Settings::watchdog_seconds)
      .def_readwrite("max_total_threads", &Settings::max_total_threads)
      .def_readwrite("counter_sets", &Settings::counter_sets)
      .def_readwrite("counters", &Settings::counters)
      .def_readwrite("max_buffer_length", &Settings::max_buffer_length);
  module.def("settings", &settings);
  module.def("set_settings", &set_settings);
  module.def("default_settings", [] { return default_settings(); });

  module.def("inject", &inject, py::arg("fault"), py::arg("count") = 1, py::arg("skip") = 0,
             py::arg("queue") = "");
  module.def("clear_faults", &clear_faults, released);
  module.def("misuses", [] {
    std::vector<std::pair<std::string, std::string>> list;
    for (const Misuse& misuse : misuses())
      list.emplace_back(misuse.code, misuse.message);
    return list;
  });
  module.def("clear_misuses", &clear_misuses);
  module.def("live_objects", &live_objects);
  module.def("statistics", &statistics);
  module.def("wait_until_stuck", &wait_until_stuck, py::arg("seconds"), released);
  module.def("wait_until_idle", &wait_until_idle, py::arg("seconds"), released);

  module.def("torch_set_version", &torch_standin::set_version);
  module.def("torch_load", &torch_standin::load_globally);
  module.def("torch_multiply_add", &torch_standin::enqueue_multiply_add, released);
  module.def("torch_synchronize", &torch_standin::synchronize, released);
  module.def("torch_synchronize_on_queue", &torch_standin::synchronize_on_queue, released);
  module.def("torch_commit_off_queue", &torch_standin::commit_off_queue, released);
  module.def("torch_reset", &torch_standin::reset, released);
  module.def("new_buffer", &torch_standin::new_buffer);
  module.def("release_buffer", &torch_standin::release_buffer, released);
  module.def("buffer_length", &torch_standin::buffer_length);
  module.def("buffer_retain_count", &torch_standin::buffer_retain_count);
  module.def("read_buffer", &read_buffer);
  module.def("write_buffer", &write_buffer);
}
