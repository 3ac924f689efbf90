// GPU traces.
#pragma once

#include "metal/context.h"

namespace metalwright::metal {

// As MetalFacilities says. Called in a pool.
void start_capture(Context& context, const std::string& path);
void stop_capture();

} // namespace metalwright::metal
