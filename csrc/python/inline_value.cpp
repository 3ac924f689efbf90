// Numbers from Python as the bytes of an MSL value: what setBytes would be given.
#include "python/inline_value.h"

#include "python/errors.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace py = pybind11;

namespace metalwright::python {

namespace {

// Rounds to nearest even, once, straight from double: going through float would round twice.
std::uint16_t encode_float(double value, int exponent_bits, int mantissa_bits) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000u : 0u;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const auto infinity = static_cast<std::uint16_t>(((1u << exponent_bits) - 1u) << mantissa_bits);
  if (std::isnan(value))
    return static_cast<std::uint16_t>(sign | infinity | (1u << (mantissa_bits - 1)));
  const double magnitude = std::fabs(value);
  if (std::isinf(magnitude))
    return static_cast<std::uint16_t>(sign | infinity);
  if (magnitude == 0)
    return sign;
  const int exponent = std::max(std::ilogb(magnitude), 1 - bias);
  // In units of the last place; exact, because a double has room for both.
  const double units = std::nearbyint(std::ldexp(magnitude, mantissa_bits - exponent));
  // The implicit bit, if there is one, carries into the exponent field, and so does rounding up.
  const double bits = units + std::ldexp(static_cast<double>(exponent + bias - 1), mantissa_bits);
  return static_cast<std::uint16_t>(
      sign | (bits >= infinity ? infinity : static_cast<std::uint16_t>(bits)));
}

std::string repr(PyObject* object) {
  const py::object text = py::reinterpret_steal<py::object>(PyObject_Repr(object));
  const char* utf8 = text ? PyUnicode_AsUTF8(text.ptr()) : nullptr;
  if (utf8 == nullptr)
    PyErr_Clear();
  return utf8 == nullptr ? "?" : utf8;
}

bool is_integer(PyObject* object) {
  return PyLong_Check(object) || PyIndex_Check(object) != 0;
}

template <typename T> void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

void store_integer(PyObject* number, Scalar scalar, std::byte* to, const messages::Place& place) {
  if (!is_integer(number) && !PyBool_Check(number))
    throw messages::wrong_number_type(place, repr(number));
  const py::object integer = py::reinterpret_steal<py::object>(PyNumber_Index(number));
  if (!integer) { // numpy.bool has the slot and refuses
    PyErr_Clear();
    throw messages::wrong_number_type(place, repr(number));
  }
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(integer.ptr(), &overflow);
  if (overflow == 0 && value == -1 && PyErr_Occurred() != nullptr)
    throw PythonErrorIsSet();
  const auto refuse = [&] { return messages::out_of_range(place, repr(integer.ptr())); };
  const auto signed_value = [&]<typename T>(T) {
    if (overflow != 0 || value < std::numeric_limits<T>::min() ||
        value > std::numeric_limits<T>::max())
      throw refuse();
    store(to, static_cast<T>(value));
  };
  const auto unsigned_value = [&]<typename T>(T) {
    if (overflow != 0 || value < 0 ||
        static_cast<unsigned long long>(value) > std::numeric_limits<T>::max())
      throw refuse();
    store(to, static_cast<T>(value));
  };
  switch (scalar) {
  case Scalar::boolean:
    if (overflow != 0 || (value != 0 && value != 1))
      throw refuse();
    return store(to, static_cast<std::uint8_t>(value));
  case Scalar::int8:
    return signed_value(std::int8_t());
  case Scalar::int16:
    return signed_value(std::int16_t());
  case Scalar::int32:
    return signed_value(std::int32_t());
  case Scalar::int64:
    return signed_value(std::int64_t());
  case Scalar::uint8:
    return unsigned_value(std::uint8_t());
  case Scalar::uint16:
    return unsigned_value(std::uint16_t());
  case Scalar::uint32:
    return unsigned_value(std::uint32_t());
  case Scalar::uint64: {
    const unsigned long long wide = overflow < 0 || (overflow == 0 && value < 0)
                                        ? throw refuse()
                                        : PyLong_AsUnsignedLongLong(integer.ptr());
    if (PyErr_Occurred() != nullptr) {
      PyErr_Clear();
      throw refuse();
    }
    return store(to, static_cast<std::uint64_t>(wide));
  }
  default:
    break;
  }
}

void store_number(PyObject* number, Scalar scalar, std::byte* to, const messages::Place& place) {
  if (scalar != Scalar::float16 && scalar != Scalar::bfloat16 && scalar != Scalar::float32)
    return store_integer(number, scalar, to, place);
  const double value = PyFloat_AsDouble(number);
  if (value == -1 && PyErr_Occurred() != nullptr) {
    if (PyErr_ExceptionMatches(PyExc_OverflowError) == 0)
      throw PythonErrorIsSet();
    PyErr_Clear();
    throw messages::out_of_range(place, repr(number));
  }
  if (scalar == Scalar::float16)
    store(to, encode_float(value, 5, 10));
  else if (scalar == Scalar::bfloat16)
    store(to, encode_float(value, 8, 7));
  else
    store(to, static_cast<float>(value));
}

Scalar scalar_of(const ArgumentType& type, const messages::Place& place) {
  if (!type.scalar)
    throw messages::number_for_struct(place);
  return *type.scalar;
}

// The items of a tuple or list, with one level of tuples and lists flattened.
std::vector<PyObject*> flattened(PyObject* sequence, const messages::Place& place) {
  std::vector<PyObject*> items;
  const auto append = [&](PyObject* item) {
    if (!is_number(item))
      throw messages::not_bindable(place, std::string(Py_TYPE(sequence)->tp_name) + " of " +
                                              Py_TYPE(item)->tp_name);
    items.push_back(item);
  };
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence); ++i) {
    PyObject* const item = PySequence_Fast_GET_ITEM(sequence, i);
    if (PyTuple_Check(item) || PyList_Check(item))
      for (Py_ssize_t j = 0; j < PySequence_Fast_GET_SIZE(item); ++j)
        append(PySequence_Fast_GET_ITEM(item, j));
    else
      append(item);
  }
  return items;
}

} // namespace

bool is_number(PyObject* object) {
  if (PyFloat_Check(object) || PyLong_Check(object)) // bool is an int
    return true;
  const PyNumberMethods* const methods = Py_TYPE(object)->tp_as_number;
  // NumPy's scalars: numbers, although they also have a (read-only) buffer. Arrays have a length.
  const PySequenceMethods* const sequence = Py_TYPE(object)->tp_as_sequence;
  const PyMappingMethods* const mapping = Py_TYPE(object)->tp_as_mapping;
  return methods != nullptr && (methods->nb_index != nullptr || methods->nb_float != nullptr) &&
         (sequence == nullptr || sequence->sq_length == nullptr) &&
         (mapping == nullptr || mapping->mp_length == nullptr);
}

std::span<std::byte> number_bytes(PyObject* number, const ArgumentType& type,
                                  const messages::Place& place, const Allocate& allocate) {
  const Scalar scalar = scalar_of(type, place);
  if (type.numbers() != 1)
    throw messages::wrong_count(place, type.numbers(), 1, false);
  const std::uint64_t size = std::max<std::uint64_t>(place.argument.size, size_of(scalar));
  std::byte* const bytes = allocate(size);
  store_number(number, scalar, bytes, place);
  return {bytes, size};
}

std::span<std::byte> sequence_bytes(PyObject* sequence, const ArgumentType& type,
                                    const messages::Place& place, const Allocate& allocate) {
  const Scalar scalar = scalar_of(type, place);
  const std::vector<PyObject*> items = flattened(sequence, place);
  const std::size_t numbers = type.numbers();
  // A reference is one value; behind a pointer any whole number of them can lie.
  const bool many = !place.argument.is_reference;
  if (items.empty() || (many ? items.size() % numbers != 0 : items.size() != numbers))
    throw messages::wrong_count(place, numbers, items.size(), many);
  const std::size_t step = size_of(scalar);
  const std::uint64_t value_size = std::max<std::uint64_t>(
      place.argument.size, static_cast<std::uint64_t>(type.row_stride) * type.columns * step);
  const std::uint64_t size = value_size * (items.size() / numbers);
  std::byte* const bytes = allocate(size);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::size_t value = i / numbers, column = i % numbers / type.rows, row = i % type.rows;
    store_number(items[i], scalar,
                 bytes + value * value_size + (column * type.row_stride + row) * step, place);
  }
  return {bytes, size};
}

std::span<std::byte> torch_bytes(PyObject* value, std::string_view cast,
                                 const messages::Place& place, const Allocate& allocate) {
  std::vector<PyObject*> items;
  if (PyTuple_Check(value) || PyList_Check(value))
    items = flattened(value, place);
  else
    items.push_back(value);
  if (items.empty())
    throw messages::wrong_count(place, 1, 0, true);
  Scalar scalar = PyFloat_Check(items.front()) ? Scalar::float32 : Scalar::int64;
  if (!PyFloat_Check(items.front()) && !is_integer(items.front()))
    scalar = Scalar::float32; // numpy.float32 and its like
  if (cast == "fp16")
    scalar = Scalar::float16;
  else if (cast == "bf16")
    scalar = Scalar::bfloat16;
  else if (cast == "fp32")
    scalar = Scalar::float32;
  else if (cast == "int8")
    scalar = Scalar::int8;
  else if (cast == "int16")
    scalar = Scalar::int16;
  else if (cast == "int32")
    scalar = Scalar::int32;
  else if (cast == "int64")
    scalar = Scalar::int64;
  else if (cast == "uint8")
    scalar = Scalar::uint8;
  else if (!cast.empty())
    throw messages::unknown_cast(place, cast);
  const std::size_t step = size_of(scalar);
  // Rounded up to the argument's own size: three floats for a float3 leave its padding zero.
  const std::uint64_t size = std::max<std::uint64_t>(
      items.size() * step, place.argument.is_reference ? place.argument.size : 0);
  std::byte* const bytes = allocate(size);
  const bool to_float =
      scalar == Scalar::float16 || scalar == Scalar::bfloat16 || scalar == Scalar::float32;
  for (std::size_t i = 0; i < items.size(); ++i) {
    // A float cast to an integer type is cut off, as a C cast does.
    const py::object cut =
        PyFloat_Check(items[i]) && !to_float ? owned(PyNumber_Long(items[i])) : py::object();
    store_number(cut ? cut.ptr() : items[i], scalar, bytes + i * step, place);
  }
  return {bytes, size};
}

} // namespace metalwright::python
