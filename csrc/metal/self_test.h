// Whether the device computes.
#pragma once

#include "metal/context.h"

namespace metalwright::metal {

// Runs a small kernel on own memory and compares, waiting at most `seconds`. Sets or clears the
// context's "lost". Called in a pool; throws nothing.
FacilityTest run_self_test(Context& context, double seconds);

} // namespace metalwright::metal
