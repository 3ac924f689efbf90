// Memory that a device and the host share, with a shape and an element type: metalwright.empty().
#pragma once

#include "device.h"
#include "python/element_type.h"
#include "python/tensor.h"

#include <pybind11/pybind11.h>

#include <memory>
#include <vector>

namespace metalwright::python {

struct Buffer {
  std::shared_ptr<Device> device;
  std::shared_ptr<SharedMemory> memory; // exactly as long as the elements
  std::vector<std::int64_t> shape;
  ElementType type = ElementType::other;

  std::uint64_t element_count() const;
  std::vector<std::int64_t> strides() const; // in elements, the last dimension densest
};

// The buffer behind a Python object; null if it is something else.
const Buffer* as_buffer(PyObject* object);
Memory buffer_memory(const Buffer& buffer);

void register_buffer(pybind11::module_& module);

} // namespace metalwright::python
