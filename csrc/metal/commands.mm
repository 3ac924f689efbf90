// One command buffer of our own queue.
#include "metal/commands.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>

namespace metalwright::metal {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPoll{5}; // how often the caller is asked whether to go on

// Outlives the wait: the handler of an abandoned command buffer may come at any time.
struct Completion {
  std::mutex mutex;
  std::condition_variable condition;
  bool done = false;
};

enum class Ending { completed, deadline, interrupted, hang };

Ending wait(Completion& completion, const WaitLimits& limits) {
  const double seconds = std::min(limits.deadline.value_or(kLongestWait), 1e9);
  const auto last = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                       std::chrono::duration<double>(std::max(seconds, 0.0)));
  std::unique_lock lock(completion.mutex);
  for (;;) {
    const auto until = limits.interrupted ? std::min(last, Clock::now() + kPoll) : last;
    if (completion.condition.wait_until(lock, until, [&] { return completion.done; }))
      return Ending::completed;
    if (Clock::now() >= last)
      return limits.deadline ? Ending::deadline : Ending::hang;
    if (limits.interrupted) {
      lock.unlock(); // the hook may run anything
      const bool stop = (*limits.interrupted)();
      lock.lock();
      if (stop && !completion.done)
        return Ending::interrupted;
    }
  }
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", seconds);
  return text;
}

constexpr const char* kStillRunning = "; a GPU cannot be made to stop, so it may go on running, "
                                      "and writing, in what was bound to it";

} // namespace

std::variant<GpuInterval, CommandFailure> run_commands(Context& context, const std::string& who,
                                                       const Encode& encode,
                                                       const WaitLimits& limits,
                                                       MTLComputePassDescriptor* pass) {
  auto descriptor =
      Owned<MTLCommandBufferDescriptor*>::adopt([[MTLCommandBufferDescriptor alloc] init]);
  descriptor.get().errorOptions = MTLCommandBufferErrorOptionEncoderExecutionStatus;
  id<MTLCommandBuffer> const commands =
      [context.queue.get() commandBufferWithDescriptor:descriptor.get()];
  if (!commands)
    throw DispatchError(errors::gpu_error, who + ": Metal made no command buffer");
  [commands setLabel:to_objc(who).get()];
  {
    id<MTLComputeCommandEncoder> const encoder =
        pass ? [commands computeCommandEncoderWithDescriptor:pass]
             : [commands computeCommandEncoderWithDispatchType:MTLDispatchTypeSerial];
    if (!encoder)
      throw DispatchError(errors::gpu_error, who + ": Metal made no encoder");
    const Encoding ends(encoder);
    encode(encoder);
  }
  const auto completion = std::make_shared<Completion>();
  [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
    const std::lock_guard lock(completion->mutex);
    completion->done = true;
    completion->condition.notify_all();
  }];
  [commands commit];
  switch (wait(*completion, limits)) {
  case Ending::completed:
    break;
  case Ending::deadline:
    context.health.abandon(commands, who);
    throw DispatchError(errors::deadline_exceeded,
                        who + " was given up: it ran for longer than its deadline of " +
                            seconds_text(*limits.deadline) + " s" + kStillRunning);
  case Ending::interrupted:
    context.health.abandon(commands, who);
    throw DispatchError(errors::interrupted, who + " was interrupted" + kStillRunning);
  case Ending::hang:
    context.health.abandon(commands, who);
    throw DispatchError(errors::gpu_hang, who + " was given up: no end was reported within " +
                                              seconds_text(kLongestWait) + " s" + kStillRunning);
  }
  // A failed command buffer looks instant: nothing of it is read before its status.
  if ([commands status] != MTLCommandBufferStatusCompleted)
    return describe_failure(commands);
  const GpuInterval interval{[commands GPUStartTime], [commands GPUEndTime]};
  return interval.is_time() ? interval : GpuInterval{};
}

} // namespace metalwright::metal
