// Memory that host and device share, and finding it again from an address.
#pragma once

#import <Metal/Metal.h>

#include "metal/objects.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>

namespace metalwright::metal {

struct BufferPlace {
  Owned<id<MTLBuffer>> buffer;
  std::uint64_t offset = 0;
};

// The live memory of Device::allocate(), by address. Thread-safe. Outlives the device, since the
// memory may.
class Allocations : public std::enable_shared_from_this<Allocations> {
 public:
  // Throws Error("out-of-memory").
  std::shared_ptr<SharedMemory> allocate(id<MTLDevice> device, std::uint64_t length);

  // The buffer behind an address, if all of [address, address + length) lies in it.
  std::optional<BufferPlace> find(const void* address, std::uint64_t length) const;

 private:
  class Memory;
  struct Range {
    std::uint64_t length = 0;
    Owned<id<MTLBuffer>> buffer;
  };
  mutable std::shared_mutex mutex_;
  std::map<std::uintptr_t, Range> ranges_;
};

// A buffer of exactly `length` bytes (at least 1) in memory that the host can reach. Throws
// Error("out-of-memory").
Owned<id<MTLBuffer>> make_buffer(id<MTLDevice> device, std::uint64_t length);

} // namespace metalwright::metal
