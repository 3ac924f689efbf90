// Shared memory as a DLPack tensor, in the old and in the versioned form.
#include "python/dlpack.h"

#include <memory>
#include <stdexcept>

namespace py = pybind11;

namespace metalwright::python::dlpack {

namespace {

// The layout of DLPack's structs, which is its interface.
struct Device {
  std::int32_t type = dlpack::device.first;
  std::int32_t id = dlpack::device.second;
};
struct DataType {
  std::uint8_t code = 0;
  std::uint8_t bits = 0;
  std::uint16_t lanes = 1;
};
struct Tensor {
  void* data = nullptr;
  Device device;
  std::int32_t dimensions = 0;
  DataType type;
  std::int64_t* shape = nullptr;
  std::int64_t* strides = nullptr; // in elements; never null, which version 1.2 demands
  std::uint64_t byte_offset = 0;
};
struct Managed {
  using Deleter = void (*)(Managed*);
  static constexpr const char* name = "dltensor";
  Tensor tensor;
  void* context = nullptr;
  Deleter deleter = nullptr;
};
struct ManagedVersioned {
  using Deleter = void (*)(ManagedVersioned*);
  static constexpr const char* name = "dltensor_versioned";
  std::uint32_t major = 1, minor = 0;
  void* context = nullptr;
  Deleter deleter = nullptr;
  std::uint64_t flags = 0;
  Tensor tensor;
};
constexpr std::uint64_t flag_is_copied = 2;

DataType data_type(ElementType type) {
  const auto bits = static_cast<std::uint8_t>(size_of(type) * 8);
  switch (type) {
  case ElementType::int8:
  case ElementType::int16:
  case ElementType::int32:
  case ElementType::int64:
    return {0, bits, 1};
  case ElementType::uint8:
  case ElementType::uint16:
  case ElementType::uint32:
  case ElementType::uint64:
    return {1, bits, 1};
  case ElementType::float16:
  case ElementType::float32:
  case ElementType::float64:
    return {2, bits, 1};
  case ElementType::bfloat16:
    return {4, bits, 1};
  case ElementType::complex32:
  case ElementType::complex64:
  case ElementType::complex128:
    return {5, bits, 1};
  case ElementType::boolean:
    return {6, bits, 1};
  case ElementType::float8:
  case ElementType::other:
    break;
  }
  throw std::logic_error("a buffer whose element type was not checked");
}

// What a capsule owns. It holds the memory, not the Python object, so that a consumer may drop it
// on any thread without the GIL.
template <typename Form> struct Holder {
  Form managed;
  std::shared_ptr<SharedMemory> memory;
  std::vector<std::int64_t> shape, strides;
};

template <typename Form> py::capsule capsule_of(const Buffer& buffer, Form managed) {
  auto holder = std::make_unique<Holder<Form>>();
  holder->memory = buffer.memory;
  holder->shape = buffer.shape;
  holder->strides = buffer.strides();
  managed.tensor.data = buffer.memory->contents();
  managed.tensor.dimensions = static_cast<std::int32_t>(holder->shape.size());
  managed.tensor.type = data_type(buffer.type);
  managed.tensor.shape = holder->shape.data();
  managed.tensor.strides = holder->strides.data();
  managed.context = holder.get();
  managed.deleter = [](Form* self) { delete static_cast<Holder<Form>*>(self->context); };
  holder->managed = managed;
  // A consumer renames the capsule and calls the deleter itself.
  py::capsule capsule(&holder->managed, Form::name, [](PyObject* object) {
    if (PyCapsule_IsValid(object, Form::name) == 0)
      return;
    auto* const form = static_cast<Form*>(PyCapsule_GetPointer(object, Form::name));
    form->deleter(form);
  });
  holder.release();
  return capsule;
}

} // namespace

py::capsule make_capsule(const Buffer& buffer, bool versioned, bool is_copy) {
  if (!versioned)
    return capsule_of(buffer, Managed{});
  ManagedVersioned managed;
  managed.flags = is_copy ? flag_is_copied : 0;
  return capsule_of(buffer, managed);
}

} // namespace metalwright::python::dlpack
