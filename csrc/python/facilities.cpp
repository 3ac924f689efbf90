// What only Metal devices have (csrc/metal/facilities.h), for Python.
#include "python/facilities.h"

#include "metal/facilities.h"
#include "python/device_registry.h"
#include "python/messages.h"

#include <memory>

namespace py = pybind11;

namespace metalwright::python {

namespace {

// Keeps the device alive: the facilities are a part of it.
struct Facilities {
  std::shared_ptr<Device> device;
  MetalFacilities* metal = nullptr;
};

Facilities facilities_of(const std::string& name) {
  Facilities result;
  result.device = device_named(name);
  result.metal = result.device->metal();
  if (result.metal == nullptr)
    throw messages::not_a_metal_device(name);
  return result;
}

} // namespace

void register_facilities(py::module_& module) {
  using Released = py::call_guard<py::gil_scoped_release>;
  py::class_<FacilityTest>(module, "FacilityTest")
      .def_readonly("usable", &FacilityTest::usable)
      .def_readonly("reason", &FacilityTest::reason);
  py::class_<ArchiveStatistics>(module, "ArchiveStatistics")
      .def_readonly("folder", &ArchiveStatistics::folder)
      .def_readonly("hits", &ArchiveStatistics::hits)
      .def_readonly("misses", &ArchiveStatistics::misses)
      .def_readonly("replaced", &ArchiveStatistics::replaced)
      .def_readonly("failures", &ArchiveStatistics::failures)
      .def_readonly("last_failure", &ArchiveStatistics::last_failure);
  py::class_<Facilities>(module, "MetalFacilities")
      .def(py::init(&facilities_of), py::arg("device"), Released())
      .def(
          "use_torch",
          [](const Facilities& self, int major, int minor, const std::string& library) {
            self.metal->use_torch({major, minor, library});
          },
          py::arg("major"), py::arg("minor"), py::arg("library"), Released())
      .def(
          "in_stream", [](const Facilities& self) { return self.metal->in_stream(); }, Released())
      .def(
          "start_capture",
          [](const Facilities& self, const std::string& path) { self.metal->start_capture(path); },
          py::arg("path"), Released())
      .def(
          "stop_capture", [](const Facilities& self) { self.metal->stop_capture(); }, Released())
      .def(
          "counter_samples", [](const Facilities& self) { return self.metal->counter_samples(); },
          Released())
      .def(
          "use_archive",
          [](const Facilities& self, const std::string& folder) {
            self.metal->use_archive(folder);
          },
          py::arg("folder"), Released())
      .def(
          "archive", [](const Facilities& self) { return self.metal->archive(); }, Released())
      .def(
          "self_test",
          [](const Facilities& self, double seconds) { return self.metal->self_test(seconds); },
          py::arg("seconds"), Released());
}

} // namespace metalwright::python
