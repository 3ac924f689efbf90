// What earlier dispatches left behind.
#include "metal/health.h"

#include "metal/failures.h"

#include <optional>

namespace metalwright::metal {

namespace {

// In-stream command buffers whose end is still of interest. Those before them are torch's own
// business as well: it synchronises sooner or later.
constexpr std::size_t kFollowed = 256;

bool has_ended(id<MTLCommandBuffer> commands) {
  const MTLCommandBufferStatus status = [commands status];
  return status == MTLCommandBufferStatusCompleted || status == MTLCommandBufferStatusError;
}

} // namespace

void Health::require() {
  const std::lock_guard lock(mutex_);
  if (!lost_.empty())
    throw DispatchError(errors::device_lost, "the GPU does not work any more: " + lost_);
  while (!abandoned_.empty() && has_ended(abandoned_.front().commands.get()))
    abandoned_.pop_front();
  if (!abandoned_.empty())
    throw DispatchError(errors::gpu_busy,
                        abandoned_.front().what +
                            " was given up but has not ended, and a GPU cannot be made to stop: "
                            "wait for it, or use a new process");
  std::optional<DispatchError> failure;
  while (!in_stream_.empty() && has_ended(in_stream_.front().commands.get())) {
    const Pending& first = in_stream_.front();
    if (!failure && [first.commands.get() status] == MTLCommandBufferStatusError) {
      const CommandFailure found = describe_failure(first.commands.get());
      failure.emplace(found.code, "an earlier in-stream dispatch, " + first.what +
                                      ", did not end well: " + found.text);
    }
    in_stream_.pop_front();
  }
  if (failure)
    throw *failure;
}

void Health::abandon(id<MTLCommandBuffer> commands, const std::string& what) {
  const std::lock_guard lock(mutex_);
  abandoned_.push_back({Owned<id<MTLCommandBuffer>>::share(commands), what});
}

void Health::follow(id<MTLCommandBuffer> commands, const std::string& what) {
  const std::lock_guard lock(mutex_);
  if (in_stream_.size() == kFollowed)
    in_stream_.pop_front();
  in_stream_.push_back({Owned<id<MTLCommandBuffer>>::share(commands), what});
}

void Health::forget() {
  const std::lock_guard lock(mutex_);
  abandoned_.clear();
  in_stream_.clear();
}

void Health::set_lost(std::string reason) {
  const std::lock_guard lock(mutex_);
  lost_ = std::move(reason);
}

} // namespace metalwright::metal
