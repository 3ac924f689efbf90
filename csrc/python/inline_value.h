// Numbers from Python as the bytes of an MSL value: what setBytes would be given.
#pragma once

#include "python/element_type.h"
#include "python/messages.h"

#include <pybind11/pybind11.h>

#include <cstddef>
#include <functional>
#include <span>

namespace metalwright::python {

// Gives `size` zeroed bytes, aligned to 16, that live until the dispatch is over.
using Allocate = std::function<std::byte*(std::uint64_t size)>;

// True for what number_bytes and sequence_bytes take: int, float, bool and NumPy's scalars.
bool is_number(PyObject* object);

// A number converted to the argument's reflected type. Throws out_of_range, wrong_number_type, ...
std::span<std::byte> number_bytes(PyObject* number, const ArgumentType& type,
                                  const messages::Place& place, const Allocate& allocate);

// A tuple or list of numbers (one level of nesting is flattened) converted to a vector, matrix or
// array.
std::span<std::byte> sequence_bytes(PyObject* sequence, const ArgumentType& type,
                                    const messages::Place& place, const Allocate& allocate);

// As torch.mps does it: int to int64 and float to float32 whatever the argument's type, unless
// `cast`
// ("fp16", "bf16", "int32", ...) is not empty. `value` is a number, or a tuple or list of them.
std::span<std::byte> torch_bytes(PyObject* value, std::string_view cast,
                                 const messages::Place& place, const Allocate& allocate);

} // namespace metalwright::python
