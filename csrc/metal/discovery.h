// Which GPUs there are, and what they are.
#pragma once

#import <Metal/Metal.h>

#include "metal/objects.h"
#include "metal/os_version.h"

#include <vector>

namespace metalwright::metal {

// The default device first. Called in a pool.
std::vector<Owned<id<MTLDevice>>> find_devices();

DeviceInfo describe_device(id<MTLDevice> device, const OsVersion& os);

} // namespace metalwright::metal
