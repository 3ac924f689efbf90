// Memory that a device and the host share, with a shape and an element type: metalwright.empty().
#include "python/buffer.h"

#include "python/device_registry.h"
#include "python/dlpack.h"
#include "python/messages.h"

#include <pybind11/stl.h>

#include <cstring>
#include <limits>
#include <optional>

namespace py = pybind11;

namespace metalwright::python {

namespace {

// What a Buffer can hold. float8 has several formats under one name here, and DLPack knows none of
// them in its first version.
ElementType element_type(const std::string& name) {
  std::string known;
  for (int value = 0; value <= static_cast<int>(ElementType::complex128); ++value) {
    const auto type = static_cast<ElementType>(value);
    if (name == name_of(type))
      return type;
    known += (known.empty() ? "" : ", ") + std::string(name_of(type));
  }
  throw messages::bad_option("dtype", name, "one of " + known);
}

std::shared_ptr<Buffer> allocate(const std::string& device, std::vector<std::int64_t> shape,
                                 const std::string& dtype) {
  auto buffer = std::make_shared<Buffer>();
  buffer->type = element_type(dtype);
  std::uint64_t bytes = size_of(buffer->type);
  for (const std::int64_t size : shape) {
    if (size <= 0 ||
        static_cast<std::uint64_t>(size) > std::numeric_limits<std::int64_t>::max() / bytes)
      throw messages::bad_shape(size);
    bytes *= static_cast<std::uint64_t>(size);
  }
  buffer->shape = std::move(shape);
  buffer->device = device_named(device);
  buffer->memory = buffer->device->allocate(bytes);
  return buffer;
}

py::buffer_info describe(const Buffer& buffer) {
  std::string format;
  switch (buffer.type) {
  case ElementType::float16:
    format = "e";
    break;
  case ElementType::float32:
    format = "f";
    break;
  case ElementType::float64:
    format = "d";
    break;
  case ElementType::int8:
    format = "b";
    break;
  case ElementType::int16:
    format = "h";
    break;
  case ElementType::int32:
    format = "i";
    break;
  case ElementType::int64:
    format = "q";
    break;
  case ElementType::uint8:
    format = "B";
    break;
  case ElementType::uint16:
    format = "H";
    break;
  case ElementType::uint32:
    format = "I";
    break;
  case ElementType::uint64:
    format = "Q";
    break;
  case ElementType::boolean:
    format = "?";
    break;
  case ElementType::complex64:
    format = "Zf";
    break;
  case ElementType::complex128:
    format = "Zd";
    break;
  default:
    throw py::buffer_error("Python's buffers have no format for " +
                           std::string(name_of(buffer.type)) + "; use .torch()");
  }
  std::vector<py::ssize_t> strides;
  for (const std::int64_t stride : buffer.strides())
    strides.push_back(stride * static_cast<py::ssize_t>(size_of(buffer.type)));
  return {buffer.memory->contents(),
          static_cast<py::ssize_t>(size_of(buffer.type)),
          format,
          static_cast<py::ssize_t>(buffer.shape.size()),
          std::vector<py::ssize_t>(buffer.shape.begin(), buffer.shape.end()),
          std::move(strides)};
}

py::capsule to_dlpack(const Buffer& buffer, const py::object& stream,
                      const std::optional<std::pair<int, int>>& max_version,
                      const std::optional<std::pair<int, int>>& device, std::optional<bool> copy) {
  if (!stream.is_none())
    throw py::buffer_error("the memory is the host's, which has no streams: stream is None");
  if (device && *device != dlpack::device)
    throw py::buffer_error("the memory is shared with the host and is given as the host's only: "
                           "dl_device is (1, 0)");
  const bool versioned = max_version && max_version->first >= 1;
  if (!copy.value_or(false))
    return dlpack::make_capsule(buffer, versioned, false);
  Buffer other = buffer;
  {
    const py::gil_scoped_release released;
    other.memory = buffer.device->allocate(buffer.memory->length());
    std::memcpy(other.memory->contents(), buffer.memory->contents(), buffer.memory->length());
  }
  return dlpack::make_capsule(other, versioned, true);
}

PyTypeObject* buffer_type = nullptr;

} // namespace

std::uint64_t Buffer::element_count() const {
  return memory->length() / size_of(type);
}

std::vector<std::int64_t> Buffer::strides() const {
  std::vector<std::int64_t> result(shape.size());
  std::int64_t stride = 1;
  for (std::size_t axis = shape.size(); axis-- > 0; stride *= shape[axis])
    result[axis] = stride;
  return result;
}

const Buffer* as_buffer(PyObject* object) {
  return PyObject_TypeCheck(object, buffer_type) != 0 ? py::handle(object).cast<const Buffer*>()
                                                      : nullptr;
}

Memory buffer_memory(const Buffer& buffer) {
  Memory memory;
  memory.pointer = buffer.memory->contents();
  memory.length = memory.element_bytes = buffer.memory->length();
  memory.type = buffer.type;
  return memory;
}

void register_buffer(py::module_& module) {
  const auto type =
      py::class_<Buffer, std::shared_ptr<Buffer>>(module, "Buffer", py::buffer_protocol())
          .def(py::init(&allocate), py::arg("device"), py::arg("shape"), py::arg("dtype"),
               py::call_guard<py::gil_scoped_release>())
          .def_buffer([](const Buffer& self) { return describe(self); })
          .def_property_readonly("shape",
                                 [](const Buffer& self) { return py::tuple(py::cast(self.shape)); })
          .def_property_readonly("dtype",
                                 [](const Buffer& self) { return std::string(name_of(self.type)); })
          .def_property_readonly("nbytes", [](const Buffer& self) { return self.memory->length(); })
          .def_property_readonly("device",
                                 [](const Buffer& self) { return self.device->info().kind; })
          .def_property_readonly("address",
                                 [](const Buffer& self) {
                                   return reinterpret_cast<std::uintptr_t>(self.memory->contents());
                                 })
          .def("to_bytes",
               [](const Buffer& self) {
                 return py::bytes(static_cast<const char*>(self.memory->contents()),
                                  self.memory->length());
               })
          .def("set_bytes",
               [](const Buffer& self, const py::bytes& bytes) {
                 const auto data = static_cast<std::string_view>(bytes);
                 if (data.size() != self.memory->length())
                   throw messages::wrong_byte_count(data.size(), self.memory->length());
                 std::memcpy(self.memory->contents(), data.data(), data.size());
               })
          .def("fill_with_byte",
               [](const Buffer& self, std::uint8_t byte) {
                 std::memset(self.memory->contents(), byte, self.memory->length());
               })
          .def("__dlpack_device__", [](const Buffer&) { return dlpack::device; })
          .def("__dlpack__", &to_dlpack, py::kw_only(), py::arg("stream") = py::none(),
               py::arg("max_version") = py::none(), py::arg("dl_device") = py::none(),
               py::arg("copy") = py::none());
  buffer_type = reinterpret_cast<PyTypeObject*>(type.ptr());
}

} // namespace metalwright::python
