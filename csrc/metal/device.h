// The Metal devices of this machine, for callers that know no Metal.
#pragma once

#include "../device.h" // not the one in this folder
#include "metal/facilities.h"

#include <memory>
#include <vector>

namespace metalwright::metal {

// The system's default device first, then the others; empty if there is none. Each call looks anew
// and makes new objects: keep them.
std::vector<std::shared_ptr<Device>> metal_devices();

} // namespace metalwright::metal
