// Timestamps sampled by the GPU at the boundaries of a compute pass: whether they can be believed.
#pragma once

#include "metal/context.h"

namespace metalwright::metal {

// Samples around a kernel whose time its command buffer tells as well. Called in a pool; throws
// nothing.
FacilityTest test_counter_samples(Context& context);

} // namespace metalwright::metal
