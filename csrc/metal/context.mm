// What a device, its libraries and its kernels share.
#include "metal/context.h"

namespace metalwright::metal {

Context::~Context() {
  @autoreleasepool {
    health.forget();
    queue = {};
    device = {};
  }
}

} // namespace metalwright::metal
