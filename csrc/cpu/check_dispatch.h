// A dispatch, checked and laid out for generated code.
#pragma once

#include "dispatch_checks.h"
#include "simt/launch.h"

namespace metalwright::cpu {

// Fills `launch` (sizes, pointers by slot, offsets of threadgroup memory). Throws Error naming the
// argument.
void fill_launch(const KernelLimits& kernel, const Dispatch& dispatch, simt::LaunchContext& launch);

} // namespace metalwright::cpu
