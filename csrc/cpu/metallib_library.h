// The kernels of a .metallib file, each read and compiled when it is asked for.
#pragma once

#include "device.h"

namespace metalwright::cpu {

// Throws Error: "no-such-file", "invalid-metallib".
std::shared_ptr<Library> open_metallib(const std::string& path);

// An `air.*` function that kernels of a file call.
struct IntrinsicUse {
  std::string name;
  std::uint64_t kernels = 0; // how many declare it
  std::string example;       // the first of them
  bool is_supported = false; // whether some lowering takes it
};

// Those of all kernels of a file, sorted by name. Throws as open_metallib(), and
// Error("invalid-air").
std::vector<IntrinsicUse> metallib_intrinsics(const std::string& path);

} // namespace metalwright::cpu
