// Command queues and the GPU threads behind them.
#pragma once
#import "objects.h"

#include <condition_variable>
#include <deque>
#include <mutex>

@class StandinCommandBuffer;

namespace metal_standin {

// Shared by a queue, its command buffers and its GPU thread, which may outlive the queue. Queues
// run beside each other: nothing orders the work of two of them.
struct QueueState {
  std::mutex mutex;
  std::condition_variable changed;
  // In the order in which they run, each retained.
  std::deque<StandinCommandBuffer*> enqueued;
  NSUInteger unfinished = 0; // command buffers made and neither completed nor dropped
  NSUInteger maximum = 64;
  bool has_thread = false;
  bool is_closed = false; // the queue is gone
  std::string label;
};

} // namespace metal_standin

@interface StandinCommandQueue : StandinObject <MTLCommandQueue> {
  StandinDevice* _device;
  std::shared_ptr<metal_standin::QueueState>* _state;
}
- (id)initWithDevice:(StandinDevice*)device maximum:(NSUInteger)maximum;
- (const std::shared_ptr<metal_standin::QueueState>&)state;
@end
