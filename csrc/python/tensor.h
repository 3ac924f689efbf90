// The memory of a torch tensor, a NumPy array or any other Python buffer, found without linking
// torch.
#pragma once

#include "python/element_type.h"
#include "python/messages.h"

#include <pybind11/pybind11.h>

#include <vector>

namespace metalwright::python {

// What is bound: `length` bytes can be reached from `pointer` + `offset`, as in a Binding.
struct Memory {
  void* pointer = nullptr;
  std::uint64_t offset = 0; // only of a resource
  BindingMemory kind = BindingMemory::host;
  std::uint64_t length = 0;
  std::uint64_t element_bytes =
      0; // bytes of the elements themselves; `length` may be more (rest of a storage)
  ElementType type = ElementType::other;
  bool read_only = false;
};

// True for torch.Tensor and its subclasses. Does not import torch.
bool is_tensor(PyObject* object);

// Which tensors a device can take.
struct TensorHome {
  std::string device; // for messages
  bool takes_mps = false;
};

// The memory of a tensor: from its first element to the end of its storage. A CPU tensor gives host
// memory; an mps tensor, where the device takes them, its MTLBuffer as a resource. Throws
// messages::wrong_device for a tensor that lies elsewhere, tensor_without_data for a fake or sparse
// one, ...
Memory tensor_memory(PyObject* tensor, const messages::Place& place, const TensorHome& home);

// False for a strided view, whose elements do not fill the memory between its first and its last.
bool tensor_is_contiguous(PyObject* tensor);

// The extents and then the strides, in elements, of a tensor argument of a
// kernel: the innermost dimension first, which is the last of the Python
// object's.
std::vector<std::int64_t> tensor_shape(PyObject* tensor);

// How many elements it has: what torch takes for `threads` when none are given.
std::uint64_t tensor_element_count(PyObject* tensor);

// Keeps the buffer of a Python object exported; released with the GIL held.
class BufferExport {
 public:
  BufferExport(PyObject* object, const messages::Place& place);
  BufferExport(BufferExport&& other) noexcept;
  BufferExport(const BufferExport&) = delete;
  BufferExport& operator=(const BufferExport&) = delete;
  BufferExport& operator=(BufferExport&&) = delete;
  ~BufferExport();
  Memory memory(const messages::Place& place) const;
  std::uint64_t element_count() const;
  // As tensor_shape().
  std::vector<std::int64_t> shape(const messages::Place& place) const;

 private:
  Py_buffer buffer_;
};

// "torch.float64", "float64 (numpy.ndarray)": for messages.
std::string describe_dtype(PyObject* object, ElementType type);

} // namespace metalwright::python
