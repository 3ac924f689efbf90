// The device's own little kernels: for its self-test, its overhead and its counters.
#pragma once

#include "metal/context.h"

namespace metalwright::metal {

// Compiles `source` and makes the pipeline of its kernel `name`. Called in a pool. Throws Error
// with Metal's text.
Owned<id<MTLComputePipelineState>> internal_kernel(Context& context, const std::string& source,
                                                   const std::string& name);

} // namespace metalwright::metal
