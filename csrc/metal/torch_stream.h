// torch's stream on the GPU, without linking torch: its functions are found in the process.
#pragma once

#import <Metal/Metal.h>

#include "metal/encoding.h"
#include "metal/facilities.h"

#include <dispatch/dispatch.h>
#include <mutex>

namespace metalwright::metal {

// Thread-safe.
class TorchStream {
 public:
  // Throws Error("no-torch-stream") if torch has not the functions.
  void use(const TorchInProcess& torch);
  bool is_used() const;

  // Waits for everything torch has queued. Does nothing without torch. Throws
  // DispatchError("torch-error").
  void synchronize() const;

  FacilityTest in_stream() const;
  // Encodes between what torch has queued and what it will queue, and commits. Returns the command
  // buffer, whose status and times are read from it. Throws Error("no-torch-stream") where
  // in_stream() is not usable, DispatchError("torch-error"), and what `encode` throws.
  Owned<id<MTLCommandBuffer>> encode(const Encode& encode) const;

 private:
  struct Functions {
    void (*synchronize)() = nullptr;
    void (*commit)() = nullptr;
    id<MTLCommandBuffer> (*get_command_buffer)() = nullptr;
    dispatch_queue_t (*get_dispatch_queue)() = nullptr;
  };
  Functions functions() const;
  static Owned<id<MTLCommandBuffer>> encode_and_commit(const Functions& torch,
                                                       const Encode& encode);

  mutable std::mutex mutex_;
  Functions functions_;
  int major_ = 0, minor_ = 0;
};

} // namespace metalwright::metal
