// How a command buffer fails.
#pragma once
#import "objects.h"

#include <vector>

namespace metal_standin {

struct ExecutionFault {
  const char* name; // as inject() has it
  MTLCommandBufferError code;
  unsigned driver_code;
  const char* description;
  bool after_waiting = false; // for clear_faults()
};

// The injected fault that the next command buffer of a queue meets, or null.
const ExecutionFault* fault_to_come(const std::string& queue_label);

// What the GPU would say when the device behind gave up a dispatch with this code.
const ExecutionFault& fault_of_device_error(const std::string& code);

// `labels` of the encoders; `faulted` counts from 0.
NSError* execution_error(const ExecutionFault& fault, const std::string& message,
                         bool with_encoders, const std::vector<std::string>& labels,
                         std::size_t faulted);

} // namespace metal_standin
