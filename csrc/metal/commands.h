// One command buffer of our own queue: encoded, committed, waited for within bounds, and judged.
#pragma once

#import <Metal/Metal.h>

#include "metal/context.h"
#include "metal/encoding.h"
#include "metal/failures.h"

#include <functional>
#include <optional>
#include <variant>

namespace metalwright::metal {

// Seconds without a deadline after which a dispatch counts as hanging. Far above what the system's
// own watchdog lets a command buffer take.
inline constexpr double kLongestWait = 300;

struct WaitLimits {
  std::optional<double> deadline; // seconds
  const std::function<bool()>* interrupted = nullptr;
};

// Seconds on the GPU's clock; both 0 if it gave nothing that can be a time.
struct GpuInterval {
  double start = 0, end = 0;
  bool is_time() const { return start > 0 && end > start; }
};

// Runs what `encode` puts into one serial encoder (made from `pass`, if given). `who` is named in
// errors. Returns the interval or what became of it. Throws DispatchError: "deadline-exceeded",
// "interrupted", "gpu-hang"; the command buffer is then on the list of the context's health.
std::variant<GpuInterval, CommandFailure> run_commands(Context& context, const std::string& who,
                                                       const Encode& encode,
                                                       const WaitLimits& limits,
                                                       MTLComputePassDescriptor* pass = nil);

} // namespace metalwright::metal
