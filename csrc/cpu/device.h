// The CPU device: Metal kernels on the machine that this process runs on.
#pragma once

#include "device.h"
#include "msl/compiler.h"

#include <memory>

namespace metalwright::cpu {

// One per process.
std::shared_ptr<Device> cpu_device();

// A library from AIR itself, whoever wrote it: text, bitcode or a metallib's module. The module is
// verified. Throws Error("invalid-air").
std::shared_ptr<Library> cpu_library_from_module(msl::CompiledModule module);

} // namespace metalwright::cpu
