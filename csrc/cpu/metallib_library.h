// The kernels of a .metallib file, each read and compiled when it is asked for.
#pragma once

#include "device.h"

namespace metalwright::cpu {

// Throws Error: "no-such-file", "invalid-metallib".
std::shared_ptr<Library> open_metallib(const std::string& path);

} // namespace metalwright::cpu
