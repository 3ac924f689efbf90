// Shared memory as a DLPack tensor, in the old and in the versioned form.
#pragma once

#include "python/buffer.h"

namespace metalwright::python::dlpack {

// (device type, device id): the host, since host and device share the memory.
inline constexpr std::pair<int, int> device = {1, 0};

// A capsule "dltensor" or, if the consumer knows version 1, "dltensor_versioned". The memory lives
// until the consumer is done with it. `is_copy` is told to a consumer of the versioned form.
pybind11::capsule make_capsule(const Buffer& buffer, bool versioned, bool is_copy);

} // namespace metalwright::python::dlpack
