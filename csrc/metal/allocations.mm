// Memory that host and device share, and finding it again from an address.
#include "metal/allocations.h"

#include <algorithm>
#include <mutex>

namespace metalwright::metal {

class Allocations::Memory final : public SharedMemory {
 public:
  Memory(std::shared_ptr<Allocations> allocations, Owned<id<MTLBuffer>> buffer,
         std::uint64_t length)
      : allocations_(std::move(allocations)), contents_([buffer.get() contents]), length_(length) {
    const std::unique_lock lock(allocations_->mutex_);
    allocations_->ranges_[reinterpret_cast<std::uintptr_t>(contents_)] = {length_,
                                                                          std::move(buffer)};
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() override {
    Range range;
    {
      const std::unique_lock lock(allocations_->mutex_);
      const auto found = allocations_->ranges_.find(reinterpret_cast<std::uintptr_t>(contents_));
      range = std::move(found->second);
      allocations_->ranges_.erase(found);
    }
    // The last thread to let go may be one of Python's without a pool.
    @autoreleasepool {
      range = {};
    }
  }

  void* contents() const override { return contents_; }
  std::uint64_t length() const override { return length_; }

 private:
  std::shared_ptr<Allocations> allocations_;
  void* contents_;
  std::uint64_t length_;
};

std::shared_ptr<SharedMemory> Allocations::allocate(id<MTLDevice> device, std::uint64_t length) {
  return std::make_shared<Memory>(shared_from_this(), make_buffer(device, length), length);
}

std::optional<BufferPlace> Allocations::find(const void* address, std::uint64_t length) const {
  const auto first = reinterpret_cast<std::uintptr_t>(address);
  const std::shared_lock lock(mutex_);
  auto after = ranges_.upper_bound(first);
  if (after == ranges_.begin())
    return std::nullopt;
  const auto& [begin, range] = *--after;
  const std::uint64_t offset = first - begin;
  if (offset > range.length || length > range.length - offset)
    return std::nullopt;
  return BufferPlace{range.buffer, offset};
}

Owned<id<MTLBuffer>> make_buffer(id<MTLDevice> device, std::uint64_t length) {
  const std::uint64_t most = [device maxBufferLength];
  Owned<id<MTLBuffer>> buffer;
  if (length <= most)
    buffer = Owned<id<MTLBuffer>>::adopt([device
        newBufferWithLength:static_cast<NSUInteger>(std::max<std::uint64_t>(length, 1))
                    options:MTLResourceStorageModeShared]);
  if (!buffer || ![buffer.get() contents])
    throw Error(errors::out_of_memory,
                "the GPU has no buffer of " + std::to_string(length) + " bytes; the longest is " +
                    std::to_string(most) + ", and " +
                    std::to_string([device currentAllocatedSize]) + " are in use");
  return buffer;
}

} // namespace metalwright::metal
