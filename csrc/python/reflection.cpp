// Plain data that Python reads: diagnostics, kernel arguments, what a dispatch measured.
#include "python/reflection.h"

#include "device.h"

#include <pybind11/stl.h>

namespace py = pybind11;

namespace metalwright::python {

static const char* name_of(Severity severity) {
  switch (severity) {
  case Severity::note:
    return "note";
  case Severity::warning:
    return "warning";
  case Severity::error:
    break;
  }
  return "error";
}

static const char* name_of(ArgumentKind kind) {
  switch (kind) {
  case ArgumentKind::buffer:
    return "buffer";
  case ArgumentKind::texture:
    return "texture";
  case ArgumentKind::sampler:
    return "sampler";
  case ArgumentKind::threadgroup_memory:
    break;
  }
  return "threadgroup_memory";
}

static const char* name_of(AddressSpace space) {
  switch (space) {
  case AddressSpace::thread:
    return "thread";
  case AddressSpace::device:
    return "device";
  case AddressSpace::constant:
    return "constant";
  case AddressSpace::threadgroup:
    break;
  }
  return "threadgroup";
}

static const char* name_of(Access access) {
  switch (access) {
  case Access::read:
    return "read";
  case Access::write:
    return "write";
  case Access::read_write:
    break;
  }
  return "read_write";
}

// (file, line, column)
static py::tuple place_tuple(const SourcePlace& place) {
  return py::make_tuple(place.file, place.line, place.column);
}

// (in the threadgroup, the threadgroup's, in the grid)
static py::object position_tuple(const ThreadPosition& position) {
  auto three = [](const std::array<std::uint32_t, 3>& xyz) {
    return py::make_tuple(xyz[0], xyz[1], xyz[2]);
  };
  return py::make_tuple(three(position.in_threadgroup), three(position.threadgroup),
                        three(position.in_grid));
}

void register_reflection(py::module_& module) {
  py::class_<Diagnostic>(module, "Diagnostic")
      .def_property_readonly("severity",
                             [](const Diagnostic& self) { return name_of(self.severity); })
      .def_readonly("file", &Diagnostic::file)
      .def_readonly("line", &Diagnostic::line)
      .def_readonly("column", &Diagnostic::column)
      .def_readonly("message", &Diagnostic::message)
      .def_readonly("source_line", &Diagnostic::source_line)
      .def_readonly("caret", &Diagnostic::caret)
      .def("__str__", [](const Diagnostic& self) { return to_string(self); })
      .def("__repr__",
           [](const Diagnostic& self) { return "<Diagnostic " + to_string(self) + ">"; });
  py::class_<Finding>(module, "Finding")
      .def_readonly("code", &Finding::code)
      .def_readonly("is_error", &Finding::is_error)
      .def_readonly("message", &Finding::message)
      .def_property_readonly("place", [](const Finding& self) { return place_tuple(self.place); })
      .def_property_readonly("thread",
                             [](const Finding& self) -> py::object {
                               return self.thread ? position_tuple(*self.thread) : py::none();
                             })
      .def_readonly("buffer", &Finding::buffer)
      .def_readonly("byte_offset", &Finding::byte_offset)
      .def_readonly("index", &Finding::index)
      .def_readonly("size", &Finding::size)
      .def_property_readonly("other",
                             [](const Finding& self) -> py::object {
                               if (!self.other)
                                 return py::none();
                               return py::make_tuple(self.other->kind,
                                                     place_tuple(self.other->place),
                                                     position_tuple(self.other->thread));
                             })
      .def_readonly("count", &Finding::count);
  py::class_<Timing>(module, "Timing")
      .def_readonly("findings", &Timing::findings)
      .def_readonly("start", &Timing::start)
      .def_readonly("end", &Timing::end)
      .def_readonly("runs", &Timing::runs)
      .def_readonly("repeats_per_run", &Timing::repeats_per_run)
      .def_readonly("copied_bytes", &Timing::copied_bytes)
      .def_readonly("copy_seconds", &Timing::copy_seconds);
  py::class_<ArgumentMember>(module, "ArgumentMember")
      .def_readonly("id", &ArgumentMember::id)
      .def_readonly("name", &ArgumentMember::name)
      .def_readonly("is_pointer", &ArgumentMember::is_pointer)
      .def_property_readonly("address_space",
                             [](const ArgumentMember& self) { return name_of(self.address_space); })
      .def_property_readonly("access",
                             [](const ArgumentMember& self) { return name_of(self.access); })
      .def_readonly("type_name", &ArgumentMember::type_name)
      .def_readonly("offset", &ArgumentMember::offset)
      .def_readonly("size", &ArgumentMember::size);
  py::class_<Argument>(module, "Argument")
      .def_readonly("index", &Argument::index)
      .def_readonly("name", &Argument::name)
      .def_property_readonly("kind", [](const Argument& self) { return name_of(self.kind); })
      .def_property_readonly("address_space",
                             [](const Argument& self) { return name_of(self.address_space); })
      .def_property_readonly("access", [](const Argument& self) { return name_of(self.access); })
      .def_readonly("type_name", &Argument::type_name)
      .def_readonly("size", &Argument::size)
      .def_readonly("alignment", &Argument::alignment)
      .def_readonly("is_reference", &Argument::is_reference)
      .def_readonly("is_used", &Argument::is_used)
      .def_readonly("is_active", &Argument::is_active)
      .def_readonly("members", &Argument::members)
      .def("__repr__", [](const Argument& self) {
        return "Argument(index=" + std::to_string(self.index) + ", name='" + self.name +
               "', kind='" + name_of(self.kind) + "', address_space='" +
               name_of(self.address_space) + "', access='" + name_of(self.access) +
               "', type_name='" + self.type_name + "', size=" + std::to_string(self.size) +
               ", alignment=" + std::to_string(self.alignment) +
               (self.is_reference ? ", is_reference=True" : "") +
               (self.is_used ? "" : ", is_used=False") +
               (self.is_active ? "" : ", is_active=False") + ")";
      });
}

} // namespace metalwright::python
