// The memory of a torch tensor, a NumPy array or any other Python buffer, found without linking
// torch.
#include "python/tensor.h"

#include "python/errors.h"

#include <array>
#include <string>
#include <vector>

namespace py = pybind11;

namespace metalwright::python {

namespace {

PyObject* interned(const char* name) {
  return checked(PyUnicode_InternFromString(name));
}

// Interned once: looking an attribute up by a C string would make a new string every time.
struct Names {
  PyObject* data_ptr = interned("data_ptr");
  PyObject* dtype = interned("dtype");
  PyObject* is_cpu = interned("is_cpu");
  PyObject* is_mps = interned("is_mps");
  PyObject* is_contiguous = interned("is_contiguous");
  PyObject* is_neg = interned("is_neg");
  PyObject* is_conj = interned("is_conj");
  PyObject* device = interned("device");
  PyObject* nbytes = interned("nbytes");
  PyObject* numel = interned("numel");
  PyObject* shape = interned("shape");
  PyObject* storage_offset = interned("storage_offset");
  PyObject* stride = interned("stride");
  PyObject* untyped_storage = interned("untyped_storage");
};
const Names& names() {
  static const Names* const instance =
      new Names; // never freed: the interpreter may already be gone
  return *instance;
}

// torch's classes, once torch has been imported by somebody. The references are kept for good.
struct Torch {
  PyTypeObject* tensor = nullptr;
  std::vector<std::pair<PyObject*, ElementType>>
      dtypes; // by identity: torch's dtypes are singletons
};
Torch torch;

bool find_torch() {
  if (torch.tensor != nullptr)
    return true;
  PyObject* module = PyDict_GetItemString(PyImport_GetModuleDict(), "torch");
  if (module == nullptr)
    return false;
  PyObject* tensor = PyObject_GetAttrString(module, "Tensor");
  if (tensor == nullptr || !PyType_Check(tensor)) { // torch is in the middle of being imported
    Py_XDECREF(tensor);
    PyErr_Clear();
    return false;
  }
  // In the order of how often they are bound; a dtype that this torch lacks is skipped.
  static constexpr std::array<std::pair<const char*, ElementType>, 22> known = {{
      {"float32", ElementType::float32},
      {"float16", ElementType::float16},
      {"bfloat16", ElementType::bfloat16},
      {"int64", ElementType::int64},
      {"int32", ElementType::int32},
      {"bool", ElementType::boolean},
      {"uint8", ElementType::uint8},
      {"int8", ElementType::int8},
      {"int16", ElementType::int16},
      {"float64", ElementType::float64},
      {"uint16", ElementType::uint16},
      {"uint32", ElementType::uint32},
      {"uint64", ElementType::uint64},
      {"complex64", ElementType::complex64},
      {"complex32", ElementType::complex32},
      {"complex128", ElementType::complex128},
      {"float8_e4m3fn", ElementType::float8},
      {"float8_e5m2", ElementType::float8},
      {"float8_e4m3fnuz", ElementType::float8},
      {"float8_e5m2fnuz", ElementType::float8},
      {"float8_e8m0fnu", ElementType::float8},
      {"quint8", ElementType::other},
  }};
  for (const auto& [name, type] : known) {
    PyObject* dtype = PyObject_GetAttrString(module, name);
    if (dtype == nullptr)
      PyErr_Clear();
    else
      torch.dtypes.emplace_back(dtype, type);
  }
  torch.tensor = reinterpret_cast<PyTypeObject*>(tensor);
  return true;
}

py::object call(PyObject* object, PyObject* method) {
  return owned(
      PyObject_VectorcallMethod(method, &object, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
}
py::object attribute(PyObject* object, PyObject* name) {
  return owned(PyObject_GetAttr(object, name));
}

std::uint64_t unsigned_value(const py::object& number) {
  const unsigned long long value = PyLong_AsUnsignedLongLong(number.ptr());
  if (value == static_cast<unsigned long long>(-1) && PyErr_Occurred() != nullptr)
    throw PythonErrorIsSet();
  return value;
}

std::string text_of(PyObject* object) {
  const py::object text = py::reinterpret_steal<py::object>(PyObject_Str(object));
  const char* utf8 = text ? PyUnicode_AsUTF8(text.ptr()) : nullptr;
  if (utf8 == nullptr)
    PyErr_Clear();
  return utf8 == nullptr ? "?" : utf8;
}

// The first line of the Python exception that is set, which is cleared.
std::string take_exception_text() {
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  std::string text = value == nullptr ? "unknown error" : text_of(value);
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  return text.substr(0, text.find('\n'));
}

ElementType element_type_of(PyObject* dtype) {
  for (const auto& [known, type] : torch.dtypes)
    if (known == dtype)
      return type;
  return ElementType::other;
}

std::uint64_t item_size(PyObject* dtype, ElementType type) {
  return type == ElementType::other
             ? unsigned_value(owned(PyObject_GetAttrString(dtype, "itemsize")))
             : size_of(type);
}

Memory read_tensor(PyObject* tensor, const messages::Place& place, const TensorHome& home) {
  const Names& name = names();
  // PyTorch answers these from C++ without Python frames: about 50 ns each.
  const bool on_host = attribute(tensor, name.is_cpu).ptr() == Py_True;
  if (!on_host && !(home.takes_mps && attribute(tensor, name.is_mps).ptr() == Py_True))
    throw messages::wrong_device(place, text_of(attribute(tensor, name.device).ptr()), home.device);
  const py::object dtype = attribute(tensor, name.dtype);
  Memory memory;
  memory.type = element_type_of(dtype.ptr());
  // x.conj().imag and its like: the memory holds the values before the negation.
  if (call(tensor, name.is_neg).ptr() == Py_True)
    throw messages::lazy_tensor(place, "negated", "resolve_neg");
  if (memory.type >= ElementType::complex32 && memory.type <= ElementType::complex128 &&
      call(tensor, name.is_conj).ptr() == Py_True)
    throw messages::lazy_tensor(place, "conjugated", "resolve_conj");
  const py::object storage = call(tensor, name.untyped_storage);
  // The storage pointer of an mps tensor is the id<MTLBuffer> itself; the tensor's own data_ptr()
  // is that object pointer plus the byte offset, which points at nothing.
  const py::object pointer =
      on_host ? call(tensor, name.data_ptr) : call(storage.ptr(), name.data_ptr);
  memory.pointer = reinterpret_cast<void*>(unsigned_value(pointer));
  const std::uint64_t storage_bytes = unsigned_value(call(storage.ptr(), name.nbytes));
  const std::uint64_t offset =
      unsigned_value(call(tensor, name.storage_offset)) * item_size(dtype.ptr(), memory.type);
  memory.length = storage_bytes > offset ? storage_bytes - offset : 0;
  if (!on_host) {
    memory.kind = BindingMemory::resource;
    memory.offset = offset;
  }
  memory.element_bytes = unsigned_value(attribute(tensor, name.nbytes));
  return memory;
}

} // namespace

bool is_tensor(PyObject* object) {
  PyTypeObject* const type = Py_TYPE(object);
  return type == torch.tensor || (find_torch() && PyType_IsSubtype(type, torch.tensor) != 0);
}

Memory tensor_memory(PyObject* tensor, const messages::Place& place, const TensorHome& home) {
  Memory memory;
  try {
    memory = read_tensor(tensor, place, home);
  } catch (const PythonErrorIsSet&) {
    // torch refuses data_ptr() or untyped_storage() of a sparse, fake or functional tensor with an
    // error.
    if (PyErr_ExceptionMatches(PyExc_Exception) == 0)
      throw; // KeyboardInterrupt and its like
    throw messages::tensor_without_data(place, take_exception_text());
  }
  if (memory.element_bytes == 0)
    throw messages::empty_tensor(place);
  if (memory.pointer == nullptr)
    throw messages::tensor_without_data(place, "its data pointer is null");
  return memory;
}

std::uint64_t tensor_element_count(PyObject* tensor) {
  return unsigned_value(call(tensor, names().numel));
}

std::vector<std::int64_t> tensor_shape(PyObject* tensor) {
  std::vector<std::int64_t> numbers;
  for (const py::object& tuple : {attribute(tensor, names().shape), call(tensor, names().stride)}) {
    const py::object sequence = owned(PySequence_Tuple(tuple.ptr()));
    for (Py_ssize_t i = PyTuple_GET_SIZE(sequence.ptr()); i-- > 0;) {
      const long long number = PyLong_AsLongLong(PyTuple_GET_ITEM(sequence.ptr(), i));
      if (number == -1 && PyErr_Occurred() != nullptr)
        throw PythonErrorIsSet();
      numbers.push_back(number);
    }
  }
  return numbers;
}

bool tensor_is_contiguous(PyObject* tensor) {
  return call(tensor, names().is_contiguous).ptr() == Py_True;
}

BufferExport::BufferExport(PyObject* object, const messages::Place& place) {
  if (PyObject_GetBuffer(object, &buffer_, PyBUF_FORMAT | PyBUF_STRIDES) != 0) {
    buffer_.obj = nullptr;
    throw messages::no_buffer(place, take_exception_text());
  }
}

BufferExport::BufferExport(BufferExport&& other) noexcept : buffer_(other.buffer_) {
  other.buffer_.obj = nullptr;
}

BufferExport::~BufferExport() {
  if (buffer_.obj != nullptr)
    PyBuffer_Release(&buffer_);
}

Memory BufferExport::memory(const messages::Place& place) const {
  Memory memory;
  memory.pointer = buffer_.buf;
  memory.read_only = buffer_.readonly != 0;
  memory.type = parse_buffer_format(buffer_.format, static_cast<std::uint64_t>(buffer_.itemsize));
  memory.element_bytes = static_cast<std::uint64_t>(buffer_.len);
  if (buffer_.len == 0)
    throw messages::empty_tensor(place);
  std::uint64_t extent = static_cast<std::uint64_t>(buffer_.itemsize);
  for (int axis = 0; axis < buffer_.ndim; ++axis) {
    if (buffer_.shape[axis] > 1 && buffer_.strides[axis] < 0)
      throw messages::negative_stride(place);
    extent += static_cast<std::uint64_t>((buffer_.shape[axis] - 1) * buffer_.strides[axis]);
  }
  memory.length = extent;
  return memory;
}

std::uint64_t BufferExport::element_count() const {
  return buffer_.itemsize > 0 ? static_cast<std::uint64_t>(buffer_.len / buffer_.itemsize) : 0;
}

std::vector<std::int64_t> BufferExport::shape(const messages::Place& place) const {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(buffer_.ndim) * 2);
  const auto rank = static_cast<std::size_t>(buffer_.ndim);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::size_t axis = rank - 1 - i;
    if (buffer_.strides[axis] % buffer_.itemsize != 0)
      throw messages::odd_stride(place);
    numbers[i] = buffer_.shape[axis];
    numbers[rank + i] = buffer_.strides[axis] / buffer_.itemsize;
  }
  return numbers;
}

std::string describe_dtype(PyObject* object, ElementType type) {
  const py::object dtype =
      py::reinterpret_steal<py::object>(PyObject_GetAttr(object, names().dtype));
  if (dtype)
    return text_of(dtype.ptr());
  PyErr_Clear();
  return std::string(name_of(type)) + " (" + Py_TYPE(object)->tp_name + ")";
}

} // namespace metalwright::python
