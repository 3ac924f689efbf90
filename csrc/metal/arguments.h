// The bindings of one dispatch as Metal takes them: buffers with offsets, bytes, lengths; and the
// copies of what Metal cannot reach where it lies.
#pragma once

#import <Metal/Metal.h>

#include "dispatch_checks.h"
#include "metal/allocations.h"

#include <vector>

namespace metalwright::metal {

class BoundArguments {
 public:
  // Copies in what has to be copied. The memory that `checked` points to must stay until the work
  // has ended. Throws Error: "foreign-memory", "buffer-too-short", "misaligned-pointer",
  // "out-of-memory", and in-stream "in-stream-host-memory" for host memory that would have to stay.
  BoundArguments(id<MTLDevice> device, const Allocations& allocations, const std::string& kernel,
                 const CheckedDispatch& checked, DispatchOrder order, std::uint64_t max_inline);

  void set(id<MTLComputeCommandEncoder> encoder) const;
  // Copies back what the kernel may have written, after the work has ended well.
  void copy_back();

  std::uint64_t copied_bytes() const { return copied_bytes_; }
  double copy_seconds() const { return copy_seconds_; }

 private:
  struct BoundBuffer {
    unsigned index;
    Owned<id<MTLBuffer>> owned; // empty for somebody else's, which its owner keeps alive
    void* foreign;
    std::uint64_t offset;
  };
  struct Bytes {
    unsigned index;
    const void* pointer;
    std::uint64_t length;
  };
  struct ThreadgroupMemory {
    unsigned index;
    std::uint64_t length;
  };
  // Host memory to be copied.
  struct Staged {
    const CheckedArgument* argument;
    std::uintptr_t begin, end;
  };
  struct CopyBack {
    void* to;
    Owned<id<MTLBuffer>> buffer;
    std::uint64_t offset, length;
  };

  void bind_resource(id<MTLDevice> device, const std::string& kernel,
                     const CheckedArgument& argument);
  // False if it has to be copied.
  bool bind_in_place(id<MTLDevice> device, const Allocations& allocations,
                     const CheckedArgument& argument, DispatchOrder order);
  void stage(id<MTLDevice> device, std::vector<Staged> staged, std::uint64_t max_inline);

  std::vector<BoundBuffer> buffers_;
  std::vector<Bytes> bytes_;
  std::vector<ThreadgroupMemory> threadgroup_memory_;
  std::vector<CopyBack> copies_back_;
  std::uint64_t copied_bytes_ = 0;
  double copy_seconds_ = 0;
};

} // namespace metalwright::metal
