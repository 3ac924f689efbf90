// What a compute encoder has been told, and the checks of Metal's debug layer on it.
#pragma once
#import "command_buffer.h"

#include <array>

struct StandinEncoderState {
  static constexpr unsigned kBuffers = 31;
  static constexpr unsigned kThreadgroupSlots = 31;
  static constexpr NSUInteger kMaxBytes = 4096;

  struct Slot {
    std::shared_ptr<metal_standin::BufferMemory> memory; // of a buffer
    std::shared_ptr<std::vector<std::byte>> bytes;       // of setBytes
    NSUInteger offset = 0;
    bool is_set() const { return memory || bytes; }
    NSUInteger length() const { return memory ? memory->length : bytes->size(); }
    void* pointer() const { return memory ? memory->data : bytes->data(); }
  };

  std::array<Slot, kBuffers> slots;
  std::array<NSUInteger, kThreadgroupSlots> threadgroup_lengths{};
  StandinComputePipeline* pipeline = nil; // retained
  MTLDispatchType dispatch_type = MTLDispatchTypeSerial;
  bool has_ended = false;
  metal_standin::Pass pass;
};

namespace metal_standin {

// Throws (as stop() does) unless a dispatch of these sizes may be encoded now.
void check_sizes(const StandinEncoderState& state, MTLSize grid, MTLSize threads_per_threadgroup);
void check_arguments(const StandinEncoderState& state);

Command make_command(const StandinEncoderState& state, bool grid_is_threads, MTLSize grid,
                     MTLSize threads_per_threadgroup);

} // namespace metal_standin
