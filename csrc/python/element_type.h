// Element types: what a tensor holds, what an MSL type name means, and which go together.
#pragma once

#include "device.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace metalwright::python {

// What one element of a torch tensor, a NumPy array or a buffer is.
enum class ElementType : std::uint8_t {
  float16,
  bfloat16,
  float32,
  float64,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  boolean,
  complex32,
  complex64,
  complex128,
  float8, // all of torch's 8-bit floating-point formats: raw bytes for a kernel
  other,  // structured records, foreign byte order and the like: only raw arguments take them
};

// Size of one element in bytes; 0 for `other`.
std::uint64_t size_of(ElementType type);

// The name that torch and NumPy share ("float32"); "other" for what has none.
std::string_view name_of(ElementType type);

// The scalar types of MSL that a number from Python can be turned into.
enum class Scalar : std::uint8_t {
  boolean,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  float16,
  bfloat16,
  float32,
};

std::uint64_t size_of(Scalar scalar);

// What the name of an argument's type says. Structs and whatever else is not built from one scalar
// have no scalar: they are bound as raw bytes.
struct ArgumentType {
  std::optional<Scalar> scalar;
  unsigned rows = 1; // scalars that lie together: n of a vector, the column height of a matrix
  unsigned row_stride = 1; // scalars from one column to the next: 4 for float3 and float3x3
  unsigned columns = 1;    // of a matrix; the length of an array
  bool is_atomic = false;
  // Bit per ElementType: the tensors that may be bound to it.
  std::uint32_t accepts = ~0u;

  bool accepts_type(ElementType type) const {
    return (accepts >> static_cast<unsigned>(type)) & 1u;
  }
  unsigned numbers() const { return rows * columns; } // how many numbers make one value
};

// Reads "float", "half4", "packed_float3", "float4x4", "array<int, 3>", "metal::atomic<uint>",
// "uint8_t", ...
ArgumentType parse_argument_type(std::string_view type_name);

// The accepted element types as text: "float32", "float32 or complex64".
std::string accepted_names(const ArgumentType& type);

// The format character of the buffer protocol (PEP 3118): "f", "<i", "?", ...
ElementType parse_buffer_format(const char* format, std::uint64_t item_size);

} // namespace metalwright::python
