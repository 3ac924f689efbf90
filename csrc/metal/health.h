// What earlier dispatches left behind: command buffers that were given up, in-stream ones whose end
// nobody waits for, a device that does not work any more.
#pragma once

#import <Metal/Metal.h>

#include "metal/objects.h"

#include <deque>
#include <mutex>
#include <string>

namespace metalwright::metal {

// Thread-safe.
class Health {
 public:
  // Throws DispatchError: "device-lost", "gpu-busy", or what became of an earlier in-stream
  // dispatch.
  void require();

  // A command buffer that nobody waits for any longer. Metal cannot stop it.
  void abandon(id<MTLCommandBuffer> commands, const std::string& what);
  // A command buffer of torch's stream with a dispatch of ours in it.
  void follow(id<MTLCommandBuffer> commands, const std::string& what);

  void forget(); // everything; at the end of the device

  void set_lost(std::string reason); // empty: it works

 private:
  struct Pending {
    Owned<id<MTLCommandBuffer>> commands;
    std::string what;
  };
  mutable std::mutex mutex_;
  std::deque<Pending> abandoned_;
  std::deque<Pending> in_stream_;
  std::string lost_;
};

} // namespace metalwright::metal
