// A Python call turned into a Dispatch: which object goes to which argument, how many threads run.
#include "python/binding.h"

#include "python/buffer.h"
#include "python/errors.h"
#include "python/inline_value.h"
#include "python/observation.h"
#include "python/texture.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace py = pybind11;

namespace metalwright::python {

namespace {

// The layout of c10::metal::ErrorMessages in torch's c10/metal/error.h: a counter, then 30 messages
// of a file (128), a function (128), a text (250) and a line.
constexpr std::size_t error_message_count = 30, error_message_bytes = 512,
                      error_buffer_bytes = 4 + error_message_count * error_message_bytes;

// What a kernel may call its arguments without hiding them from keyword use.
struct Keywords {
  PyObject* threads = PyUnicode_InternFromString("threads");
  PyObject* group_size = PyUnicode_InternFromString("group_size");
  PyObject* threadgroups = PyUnicode_InternFromString("threadgroups");
  PyObject* threadgroup_memory = PyUnicode_InternFromString("threadgroup_memory");
  PyObject* arg_casts = PyUnicode_InternFromString("arg_casts");
  PyObject* error_buf_idx = PyUnicode_InternFromString("error_buf_idx");
  PyObject* deadline = PyUnicode_InternFromString("deadline");
  PyObject* check = PyUnicode_InternFromString("check");
};
const Keywords& keywords() {
  static const Keywords* const instance = new Keywords;
  return *instance;
}

// Names in a call are nearly always interned, so the pointers decide; a computed name is compared.
bool same_name(PyObject* a, PyObject* b) {
  return a == b || PyUnicode_Compare(a, b) == 0;
}

struct Dimensions {
  std::uint64_t size[3] = {1, 1, 1};
  std::size_t count = 0;
  Size3 size3() const { return {size[0], size[1], size[2]}; }
};

Dimensions dimensions(PyObject* object, const KernelBinder& binder, const char* keyword) {
  Dimensions result;
  const auto add = [&](PyObject* item) {
    const py::object integer = py::reinterpret_steal<py::object>(PyNumber_Index(item));
    unsigned long long value = 0;
    if (integer)
      value = PyLong_AsUnsignedLongLong(integer.ptr());
    if (PyErr_Occurred() != nullptr) {
      PyErr_Clear();
      throw messages::bad_size(binder.kernel, keyword, "takes positive integers");
    }
    if (value == 0)
      throw messages::bad_size(binder.kernel, keyword,
                               "has a dimension of 0; every dimension is at least 1");
    result.size[result.count++] = value;
  };
  if (PyLong_CheckExact(object)) {
    add(object);
    return result;
  }
  if (!PyTuple_Check(object) && !PyList_Check(object)) {
    if (PyIndex_Check(object) == 0)
      throw messages::bad_size(binder.kernel, keyword,
                               "takes an integer or a tuple of 1 to 3 of them");
    add(object);
    return result;
  }
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(object);
  if (count < 1 || count > 3)
    throw messages::bad_size(binder.kernel, keyword,
                             "takes an integer or a tuple of 1 to 3 of them");
  for (Py_ssize_t i = 0; i < count; ++i)
    add(PySequence_Fast_GET_ITEM(object, i));
  return result;
}

// The threads of a threadgroup when the caller does not care. In torch's convention what torch.mps
// does; else as many as fit, filled along x first so that neighbouring threads are neighbours in
// memory.
Size3 default_group(const KernelBinder& binder, const Dimensions& threads) {
  const std::uint64_t most = std::max<std::uint64_t>(1, binder.max_threads);
  if (threads.count == 1)
    return {std::min(threads.size[0], most), 1, 1};
  if (binder.convention == Convention::torch)
    return {1, 1, 1};
  Size3 group;
  group.x = std::min(threads.size[0], most);
  group.y = std::min(threads.size[1], most / group.x);
  group.z = std::min(threads.size[2], most / (group.x * group.y));
  return group;
}

std::string cast_for(PyObject* casts, unsigned index) {
  if (casts == nullptr || casts == Py_None)
    return {};
  PyObject* cast = casts;
  if (PyDict_Check(casts)) {
    const py::object key = owned(PyLong_FromUnsignedLong(index));
    cast = PyDict_GetItemWithError(casts, key.ptr());
    if (cast == nullptr) {
      if (PyErr_Occurred() != nullptr)
        throw PythonErrorIsSet();
      return {};
    }
  }
  const char* const text = PyUnicode_Check(cast) ? PyUnicode_AsUTF8(cast) : nullptr;
  if (text == nullptr)
    throw Error("bad-option",
                "arg_casts= takes a string or a dictionary from buffer index to string");
  return text;
}

std::string names_of(const std::vector<ArgumentBinder>& arguments) {
  std::string names;
  for (const ArgumentBinder& argument : arguments)
    names += (names.empty() ? "" : ", ") + argument.argument.name;
  return names.empty() ? "none" : names;
}

} // namespace

bool is_tensor_shape(const Argument& argument) {
  return argument.type_name == "tensor_shape";
}

KernelBinder::KernelBinder(Kernel& native, const DeviceInfo& info, Convention convention_)
    : kernel(native.name()), home{info.kind, info.kind == "metal"}, convention(convention_),
      max_threads(native.max_threads_per_threadgroup()),
      execution_width(native.thread_execution_width()), max_inline_bytes(info.max_inline_bytes),
      waits_in_stream(info.kind == "cpu") {
  for (const Argument& argument : native.arguments()) {
    if (is_tensor_shape(argument))
      continue;
    ArgumentBinder binder;
    binder.argument = argument;
    std::string_view type = argument.type_name;
    // "tensor<half, 2>": the element and the rank.
    if (const std::size_t comma = type.find(", ");
        type.starts_with("tensor<") && comma != std::string_view::npos) {
      for (const Argument& other : native.arguments())
        if (is_tensor_shape(other) && other.name == argument.name + ".shape") {
          binder.tensor_rank = other.size / 16;
          binder.shape_index = other.index;
        }
      type = type.substr(7, comma - 7);
    }
    binder.type = parse_argument_type(std::string(type));
    binder.name = checked(PyUnicode_InternFromString(argument.name.c_str()));
    binder.is_error_buffer = argument.type_name.ends_with("ErrorMessages");
    (argument.kind == ArgumentKind::buffer               ? buffers
     : argument.kind == ArgumentKind::threadgroup_memory ? threadgroup_memory
                                                         : handles)
        .push_back(std::move(binder));
  }
  active_buffers = static_cast<std::size_t>(
      std::count_if(buffers.begin(), buffers.end(),
                    [](const ArgumentBinder& binder) { return binder.argument.is_active; }));
  // Where nothing is written, or there is but one buffer, nothing can be read too late.
  aliasing_warned = buffers.size() < 2 || std::none_of(
                                              buffers.begin(), buffers.end(),
                                              [](const ArgumentBinder& binder) {
                                                return binder.argument.access != Access::read;
                                              });
  const auto by_index = [](const ArgumentBinder& a, const ArgumentBinder& b) {
    return a.argument.index < b.argument.index;
  };
  std::stable_sort(buffers.begin(), buffers.end(), by_index);
  std::stable_sort(threadgroup_memory.begin(), threadgroup_memory.end(), by_index);
  std::stable_sort(handles.begin(), handles.end(),
                   [](const ArgumentBinder& a, const ArgumentBinder& b) {
                     return std::pair(a.argument.kind, a.argument.index) <
                            std::pair(b.argument.kind, b.argument.index);
                   });
}

struct Call::Options {
  PyObject* threads = nullptr;
  PyObject* group_size = nullptr;
  PyObject* threadgroups = nullptr;
  PyObject* threadgroup_memory = nullptr;
  PyObject* arg_casts = nullptr;
  PyObject* error_buf_idx = nullptr;
  PyObject* deadline = nullptr;
  bool check = true;

  // Takes the keyword if it is one of ours.
  bool take(PyObject* name, PyObject* value) {
    const Keywords& known = keywords();
    const std::pair<PyObject*, PyObject**> table[] = {
        {known.threads, &threads},           {known.group_size, &group_size},
        {known.threadgroups, &threadgroups}, {known.threadgroup_memory, &threadgroup_memory},
        {known.arg_casts, &arg_casts},       {known.error_buf_idx, &error_buf_idx},
        {known.deadline, &deadline},
    };
    for (const auto& [keyword, place] : table)
      if (same_name(name, keyword)) {
        *place = value == Py_None ? nullptr : value;
        return true;
      }
    if (!same_name(name, known.check))
      return false;
    const int truth = PyObject_IsTrue(value);
    if (truth < 0)
      throw PythonErrorIsSet();
    check = truth != 0;
    return true;
  }
};

std::byte* Call::allocate(std::uint64_t size) {
  const std::uint64_t rounded = (size + 63) / 64 * 64;
  std::byte* bytes = nullptr;
  if (small_used_ + rounded <= sizeof small_) {
    bytes = small_ + small_used_;
    small_used_ += rounded;
  } else {
    large_.push_back(std::make_unique<Block[]>(rounded / 64));
    bytes = large_.back()[0].bytes;
  }
  std::memset(bytes, 0, rounded);
  return bytes;
}

void Call::clear() {
  dispatch.grid_is_threads = true;
  dispatch.grid = {};
  dispatch.threads_per_threadgroup = {};
  dispatch.bindings.clear(); // keeps its memory for the next call
  spans_.clear();
  dispatch.repeats = 1;
  dispatch.deadline.reset();
  small_used_ = 0;
  large_.clear();
  exports_.clear();
  error_buffer_ = nullptr;
  bound_ = 0;
  bound_handles_.clear();
  first_tensor_elements_.reset();
}

void Call::bind_memory(const KernelBinder& binder, const ArgumentBinder& argument, Memory memory,
                       PyObject* value, bool check) {
  const Argument& info = argument.argument;
  const messages::Place place{binder.kernel, info};
  if (check && !argument.type.accepts_type(memory.type))
    throw messages::wrong_dtype(place, accepted_names(argument.type),
                                describe_dtype(value, memory.type));
  if (memory.read_only && info.access != Access::read)
    throw messages::read_only(place);
  if (memory.length < info.size && (check || info.is_reference))
    throw messages::too_short(place, memory.length, info.size);
  if (check && argument.type.numbers() > 1 && info.size != 0 &&
      memory.element_bytes % info.size != 0)
    throw messages::not_whole_elements(place, memory.element_bytes);
  const bool resource = memory.kind == BindingMemory::resource;
  const auto address = reinterpret_cast<std::uintptr_t>(memory.pointer);
  if (!binder.aliasing_warned) {
    const std::uint64_t begin = resource ? memory.offset : address;
    spans_.push_back(
        {resource ? address : 0, begin, begin + memory.element_bytes, value, &argument.argument});
  }
  if (const std::uint64_t position = resource ? memory.offset : address;
      info.alignment > 1 && position % info.alignment != 0) {
    // What could be given by value is copied; a pointer into device memory has to be right itself,
    // and a resource is not for the host to read.
    if (resource || info.address_space != AddressSpace::constant ||
        memory.length > binder.max_inline_bytes)
      throw messages::misaligned(place, position);
    std::byte* const copy = allocate(memory.length);
    std::memcpy(copy, memory.pointer, memory.length);
    memory.pointer = copy;
    memory.kind = BindingMemory::value;
  }
  dispatch.bindings.push_back({ArgumentKind::buffer, info.index, memory.pointer, memory.length,
                               memory.kind, memory.offset});
}

void Call::bind_bytes(const KernelBinder& binder, const ArgumentBinder& argument,
                      std::span<std::byte> bytes) {
  const messages::Place place{binder.kernel, argument.argument};
  if (bytes.size() > binder.max_inline_bytes)
    throw messages::too_long_inline(place, bytes.size(), binder.max_inline_bytes);
  if (argument.argument.is_reference && bytes.size() < argument.argument.size)
    throw messages::too_short(place, bytes.size(), argument.argument.size);
  dispatch.bindings.push_back({ArgumentKind::buffer, argument.argument.index, bytes.data(),
                               bytes.size(), BindingMemory::value});
}

void Call::bind_buffer(const KernelBinder& binder, const ArgumentBinder& argument, PyObject* value,
                       const Options& options) {
  const messages::Place place{binder.kernel, argument.argument};
  const bool torch = binder.convention == Convention::torch;
  const bool check = options.check && !torch;
  const bool shaped = argument.tensor_rank != 0;
  if (is_tensor(value)) {
    if (shaped)
      bind_shape(binder, argument, tensor_shape(value));
    if (!first_tensor_elements_ && options.threads == nullptr && options.threadgroups == nullptr)
      first_tensor_elements_ = tensor_element_count(value);
    return bind_memory(binder, argument, tensor_memory(value, place, binder.home), value, check);
  }
  const bool sequence = PyTuple_Check(value) || PyList_Check(value);
  if (shaped && (PyObject_CheckBuffer(value) == 0 || sequence || is_number(value)))
    throw messages::not_a_tensor(place, Py_TYPE(value)->tp_name);
  if (sequence || is_number(value)) {
    // Written values would be lost, so device memory takes a number only where torch does and
    // nothing is written.
    if (argument.argument.address_space != AddressSpace::constant &&
        !(torch && argument.argument.access == Access::read))
      throw messages::number_for_device_pointer(place);
    const Allocate memory = [this](std::uint64_t size) { return allocate(size); };
    const std::string cast = cast_for(options.arg_casts, argument.argument.index);
    if (torch || !cast.empty())
      return bind_bytes(binder, argument, torch_bytes(value, cast, place, memory));
    return bind_bytes(binder, argument,
                      sequence ? sequence_bytes(value, argument.type, place, memory)
                               : number_bytes(value, argument.type, place, memory));
  }
  if (const Buffer* const buffer = shaped ? nullptr : as_buffer(value)) {
    if (!first_tensor_elements_)
      first_tensor_elements_ = buffer->element_count();
    return bind_memory(binder, argument, buffer_memory(*buffer), value, check);
  }
  if (PyObject_CheckBuffer(value) != 0) {
    exports_.emplace_back(value, place);
    if (!first_tensor_elements_)
      first_tensor_elements_ = exports_.back().element_count();
    // bytes, bytearray and memoryviews of them are raw: the bytes of a struct, not an array of
    // uchar.
    Memory memory = exports_.back().memory(place);
    if (shaped)
      bind_shape(binder, argument, exports_.back().shape(place));
    const bool raw = PyBytes_Check(value) || PyByteArray_Check(value) || PyMemoryView_Check(value);
    if (raw && argument.argument.address_space == AddressSpace::constant &&
        memory.length <= binder.max_inline_bytes)
      memory.kind = BindingMemory::value;
    return bind_memory(binder, argument, memory, value, check && !raw);
  }
  throw messages::not_bindable(place, Py_TYPE(value)->tp_name);
}

void Call::bind_shape(const KernelBinder& binder, const ArgumentBinder& argument,
                      const std::vector<std::int64_t>& numbers) {
  if (numbers.size() != 2 * argument.tensor_rank)
    throw messages::wrong_rank({binder.kernel, argument.argument}, argument.tensor_rank,
                               numbers.size() / 2);
  const std::uint64_t size = numbers.size() * sizeof(std::int64_t);
  std::byte* const bytes = allocate(size);
  std::memcpy(bytes, numbers.data(), size);
  dispatch.bindings.push_back(
      {ArgumentKind::buffer, argument.shape_index, bytes, size, BindingMemory::value});
}

void Call::bind_handle(const KernelBinder& binder, const ArgumentBinder& argument,
                       PyObject* value) {
  const Argument& info = argument.argument;
  const messages::Place place{binder.kernel, info};
  const void* handle = nullptr;
  if (info.kind == ArgumentKind::texture) {
    if (const Texture* const texture = as_texture(value)) {
      if (const std::string mismatch = texture_mismatch(*texture, info.type_name);
          !mismatch.empty())
        throw messages::wrong_texture(place, mismatch);
      handle = texture;
    }
  } else {
    handle = as_sampler(value);
  }
  if (handle == nullptr)
    throw messages::not_a_texture(place, Py_TYPE(value)->tp_name);
  dispatch.bindings.push_back({info.kind, info.index, const_cast<void*>(handle), 0});
}

std::vector<PyObject*> Call::bind_handles(const KernelBinder& binder, PyObject* const* arguments,
                                          std::size_t positional) {
  std::vector<PyObject*> others;
  bound_handles_.assign(binder.handles.size(), false);
  for (std::size_t i = 0; i < positional; ++i) {
    const bool texture = as_texture(arguments[i]) != nullptr;
    if (!texture && as_sampler(arguments[i]) == nullptr) {
      others.push_back(arguments[i]);
      continue;
    }
    const ArgumentKind kind = texture ? ArgumentKind::texture : ArgumentKind::sampler;
    std::size_t slot = 0;
    while (slot < binder.handles.size() &&
           (binder.handles[slot].argument.kind != kind || bound_handles_[slot] ||
            !binder.handles[slot].argument.is_active))
      ++slot;
    if (slot == binder.handles.size())
      throw messages::too_many_handles(binder.kernel, texture);
    bind_handle(binder, binder.handles[slot], arguments[i]);
    bound_handles_[slot] = true;
  }
  return others;
}

void Call::warn_of_aliasing(const KernelBinder& binder) const {
  for (auto one = spans_.begin(); one != spans_.end(); ++one)
    for (auto other = spans_.begin(); other != one; ++other) {
      if (one->begin >= other->end || other->begin >= one->end || one->resource != other->resource)
        continue;
      if (one->argument->access == Access::read && other->argument->access == Access::read)
        continue;
      // Interleaved views such as x[::2] and x[1::2] share a stretch of memory and no element.
      if (one->begin != other->begin &&
          ((is_tensor(one->value) && !tensor_is_contiguous(one->value)) ||
           (is_tensor(other->value) && !tensor_is_contiguous(other->value))))
        continue;
      binder.aliasing_warned = true;
      return warn(messages::aliasing(binder.kernel, *other->argument, *one->argument));
    }
}

void Call::bind_error_buffer(const KernelBinder& binder, unsigned index) {
  if (dispatch.order == DispatchOrder::in_stream && !binder.waits_in_stream)
    for (const ArgumentBinder& argument : binder.buffers)
      if (argument.argument.index == index)
        throw messages::no_error_report_in_stream({binder.kernel, argument.argument});
  error_buffer_ = allocate(error_buffer_bytes);
  dispatch.bindings.push_back({ArgumentKind::buffer, index, error_buffer_, error_buffer_bytes});
}

void Call::check_reported_errors(const KernelBinder& binder) const {
  std::uint32_t count = 0;
  if (error_buffer_ != nullptr)
    std::memcpy(&count, error_buffer_, sizeof count);
  if (count == 0)
    return;
  const auto text = [](const std::byte* bytes, std::size_t size) {
    const char* const characters = reinterpret_cast<const char*>(bytes);
    return std::string(characters, strnlen(characters, size));
  };
  const std::byte* const first = error_buffer_ + 4;
  std::uint32_t line = 0;
  std::memcpy(&line, first + 508, sizeof line);
  throw DispatchError("reported-by-kernel",
                      "kernel '" + binder.kernel + "' reported " + std::to_string(count) +
                          (count == 1 ? " error: " : " errors, the first: ") +
                          text(first + 256, 250) + " (" + text(first, 128) + ":" +
                          std::to_string(line) + ", in " + text(first + 128, 128) + ")");
}

void Call::bind_threadgroup_memory(const KernelBinder& binder, PyObject* sizes) {
  std::size_t given = 0;
  for (const ArgumentBinder& argument : binder.threadgroup_memory) {
    const messages::Place place{binder.kernel, argument.argument};
    PyObject* bytes = nullptr;
    if (sizes != nullptr) {
      const py::object key = owned(PyLong_FromUnsignedLong(argument.argument.index));
      bytes = PyDict_GetItemWithError(sizes, key.ptr());
      if (bytes == nullptr && PyErr_Occurred() != nullptr)
        throw PythonErrorIsSet();
    }
    if (bytes == nullptr) {
      if (argument.argument.is_active && argument.argument.is_used)
        throw messages::missing_threadgroup_memory(place);
      continue;
    }
    ++given;
    const py::object integer = owned(PyNumber_Index(bytes));
    const unsigned long long length = PyLong_AsUnsignedLongLong(integer.ptr());
    if (PyErr_Occurred() != nullptr)
      throw PythonErrorIsSet();
    dispatch.bindings.push_back(
        {ArgumentKind::threadgroup_memory, argument.argument.index, nullptr, length});
  }
  if (sizes == nullptr || given == static_cast<std::size_t>(PyDict_GET_SIZE(sizes)))
    return;
  PyObject *key = nullptr, *value = nullptr;
  for (Py_ssize_t position = 0; PyDict_Next(sizes, &position, &key, &value) != 0;) {
    const unsigned long long index = PyLong_AsUnsignedLongLong(key);
    if (PyErr_Occurred() != nullptr)
      throw PythonErrorIsSet();
    const bool known = std::any_of(
        binder.threadgroup_memory.begin(), binder.threadgroup_memory.end(),
        [&](const ArgumentBinder& argument) { return argument.argument.index == index; });
    if (!known)
      throw messages::unknown_threadgroup_index(binder.kernel, index);
  }
}

void Call::set_grid(const KernelBinder& binder, const Options& options) {
  if (options.threadgroups != nullptr) {
    if (options.threads != nullptr)
      throw messages::threads_and_threadgroups(binder.kernel);
    if (options.group_size == nullptr)
      throw messages::threadgroups_without_group_size(binder.kernel);
    dispatch.grid_is_threads = false;
    dispatch.grid = dimensions(options.threadgroups, binder, "threadgroups").size3();
    dispatch.threads_per_threadgroup = dimensions(options.group_size, binder, "group_size").size3();
    return;
  }
  Dimensions threads;
  if (options.threads != nullptr) {
    threads = dimensions(options.threads, binder, "threads");
  } else {
    if (!first_tensor_elements_)
      throw messages::no_threads(binder.kernel);
    threads.count = 1;
    threads.size[0] = *first_tensor_elements_;
  }
  dispatch.grid = threads.size3();
  if (options.group_size == nullptr) {
    dispatch.threads_per_threadgroup = default_group(binder, threads);
    return;
  }
  const Dimensions group = dimensions(options.group_size, binder, "group_size");
  if (group.count != threads.count)
    throw messages::different_dimensions(binder.kernel, threads.count, group.count);
  dispatch.threads_per_threadgroup = group.size3();
}

void Call::bind(const KernelBinder& binder, PyObject* const* arguments, std::size_t positional,
                PyObject* names) {
  Options options;
  dispatch.order = stream_order();
  const std::size_t named =
      names == nullptr ? 0 : static_cast<std::size_t>(PyTuple_GET_SIZE(names));
  // Options first: whether dtypes are checked has to be known before the first tensor is looked at.
  std::uint64_t by_name = 0;
  for (std::size_t i = 0; i < named; ++i)
    if (!options.take(PyTuple_GET_ITEM(names, static_cast<Py_ssize_t>(i)),
                      arguments[positional + i]))
      by_name |= std::uint64_t{1} << std::min<std::size_t>(i, 63);

  const auto& buffers = binder.buffers;
  // Textures and samplers find their places by what they are; what is left counts as if alone.
  PyObject* const* const values_by_name = arguments + positional;
  std::vector<PyObject*> others;
  if (!binder.handles.empty()) {
    others = bind_handles(binder, arguments, positional);
    arguments = others.data();
    positional = others.size();
  }
  if (binder.convention == Convention::torch) {
    for (std::size_t i = 0; i < positional; ++i) {
      const auto found =
          std::find_if(buffers.begin(), buffers.end(), [&](const ArgumentBinder& argument) {
            return argument.argument.index == i;
          });
      if (found ==
          buffers.end()) { // Metal ignores a buffer at an index that the kernel does not have
        if (!first_tensor_elements_ && is_tensor(arguments[i]))
          first_tensor_elements_ = tensor_element_count(arguments[i]);
        continue;
      }
      bind_buffer(binder, *found, arguments[i], options);
      bound_ |= std::uint64_t{1} << (found - buffers.begin());
    }
  } else {
    std::size_t next = 0;
    const std::size_t active = binder.active_buffers;
    // Metal's reflection leaves out what a function constant switches off, so a None that is too
    // many stands for such an argument.
    const bool drop_none =
        positional > active &&
        positional -
                static_cast<std::size_t>(std::count(arguments, arguments + positional, Py_None)) <=
            active;
    for (std::size_t i = 0; i < positional; ++i) {
      if (drop_none && arguments[i] == Py_None)
        continue;
      // An argument that a function constant switches off may be left out, or be given as None.
      while (next < buffers.size() && !buffers[next].argument.is_active && arguments[i] != Py_None)
        ++next;
      if (next == buffers.size())
        throw messages::too_many_arguments(binder.kernel, active, positional);
      const std::uint64_t bit = std::uint64_t{1} << next;
      const ArgumentBinder& argument = buffers[next++];
      if (arguments[i] == Py_None && (!argument.argument.is_active || !argument.argument.is_used))
        continue;
      bind_buffer(binder, argument, arguments[i], options);
      bound_ |= bit;
    }
  }
  for (std::size_t i = 0; by_name != 0 && i < named; ++i) {
    if ((by_name >> std::min<std::size_t>(i, 63) & 1u) == 0)
      continue;
    PyObject* const name = PyTuple_GET_ITEM(names, static_cast<Py_ssize_t>(i));
    const auto found =
        std::find_if(buffers.begin(), buffers.end(), [&](const ArgumentBinder& argument) {
          return same_name(argument.name, name);
        });
    if (found == buffers.end()) {
      const auto handle = std::find_if(
          binder.handles.begin(), binder.handles.end(),
          [&](const ArgumentBinder& argument) { return same_name(argument.name, name); });
      if (handle != binder.handles.end()) {
        const auto slot = static_cast<std::size_t>(handle - binder.handles.begin());
        if (bound_handles_[slot])
          throw messages::bound_twice({binder.kernel, handle->argument});
        if (handle->argument.is_active)
          bind_handle(binder, *handle, values_by_name[i]);
        else if (values_by_name[i] != Py_None)
          throw messages::inactive_argument({binder.kernel, handle->argument});
        bound_handles_[slot] = true;
        continue;
      }
      const char* const text = PyUnicode_AsUTF8(name);
      if (text == nullptr)
        throw PythonErrorIsSet();
      throw messages::unknown_keyword(binder.kernel, text, names_of(buffers));
    }
    const messages::Place place{binder.kernel, found->argument};
    const std::uint64_t bit = std::uint64_t{1} << (found - buffers.begin());
    if ((bound_ & bit) != 0)
      throw messages::bound_twice(place);
    if (!found->argument.is_active) {
      if (values_by_name[i] != Py_None)
        throw messages::inactive_argument(place);
      continue;
    }
    bind_buffer(binder, *found, values_by_name[i], options);
    bound_ |= bit;
  }
  if (options.error_buf_idx != nullptr) {
    const unsigned long index = PyLong_AsUnsignedLong(options.error_buf_idx);
    if (PyErr_Occurred() != nullptr)
      throw PythonErrorIsSet();
    bind_error_buffer(binder, static_cast<unsigned>(index));
    for (std::size_t i = 0; i < buffers.size(); ++i)
      if (buffers[i].argument.index == index)
        bound_ |= std::uint64_t{1} << i;
  }
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const Argument& argument = buffers[i].argument;
    if ((bound_ >> i & 1u) != 0 || !argument.is_active)
      continue;
    if (buffers[i].is_error_buffer)
      bind_error_buffer(binder, argument.index);
    else if (argument.is_used)
      throw messages::missing_argument({binder.kernel, argument});
  }
  for (std::size_t slot = 0; slot < binder.handles.size(); ++slot) {
    const Argument& argument = binder.handles[slot].argument;
    if (!bound_handles_[slot] && argument.is_active && argument.is_used)
      throw messages::missing_argument({binder.kernel, argument});
  }
  if (options.threadgroup_memory != nullptr && !PyDict_Check(options.threadgroup_memory))
    throw Error("bad-option", "threadgroup_memory= takes a dictionary from index to bytes");
  if (options.threadgroup_memory != nullptr || !binder.threadgroup_memory.empty())
    bind_threadgroup_memory(binder, options.threadgroup_memory);
  set_grid(binder, options);
  dispatch.deadline = observation().default_deadline;
  if (options.deadline != nullptr) {
    const double seconds = PyFloat_AsDouble(options.deadline);
    if (PyErr_Occurred() != nullptr || !(seconds > 0)) {
      PyErr_Clear();
      throw messages::bad_deadline(binder.kernel);
    }
    dispatch.deadline = seconds;
  }
  if (dispatch.deadline && std::isinf(*dispatch.deadline))
    dispatch.deadline.reset();
  if (!binder.aliasing_warned && spans_.size() > 1) // last: a call that is refused needs no warning
    warn_of_aliasing(binder);
}

} // namespace metalwright::python
