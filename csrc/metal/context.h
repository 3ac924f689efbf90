// What a device, its libraries and its kernels share.
#pragma once

#import <Metal/Metal.h>

#include "metal/allocations.h"
#include "metal/archive.h"
#include "metal/health.h"
#include "metal/os_version.h"
#include "metal/torch_stream.h"

namespace metalwright::metal {

struct Context {
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  // In a pool of its own: the last to let go may be a thread of Python's without one.
  ~Context();

  Owned<id<MTLDevice>> device;
  Owned<id<MTLCommandQueue>> queue; // of isolated dispatches
  DeviceInfo info;
  OsVersion os;
  std::shared_ptr<Allocations> allocations = std::make_shared<Allocations>();
  Health health;
  TorchStream torch;
  Archive archive;
};

} // namespace metalwright::metal
