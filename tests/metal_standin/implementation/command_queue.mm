// Command queues and the GPU threads behind them.
#import "command_queue.h"

#import "command_buffer.h"

#include <chrono>
#include <thread>

#import <Foundation/NSThread.h>

using namespace metal_standin;

// Nobody commits what blocks a queue for so long.
static constexpr std::chrono::seconds kExhausted{20};

static void run_queue(std::shared_ptr<QueueState> state) {
  GSRegisterCurrentThread();
  for (;;) {
    StandinCommandBuffer* next = nil;
    {
      std::unique_lock lock(state->mutex);
      state->changed.wait(lock, [&] {
        return state->enqueued.empty() ? state->is_closed : [state->enqueued.front() isCommitted];
      });
      if (state->enqueued.empty())
        break;
      next = state->enqueued.front();
      state->enqueued.pop_front();
    }
    @autoreleasepool {
      [next execute];
      [next release];
    }
  }
  GSUnregisterCurrentThread();
}

@implementation StandinCommandQueue
- (id)initWithDevice:(StandinDevice*)device maximum:(NSUInteger)maximum {
  if ((self = [super init])) {
    _device = [device retain];
    _state = new std::shared_ptr<QueueState>(std::make_shared<QueueState>());
    (*_state)->maximum = maximum;
  }
  return self;
}
- (void)dealloc {
  {
    const std::lock_guard lock((*_state)->mutex);
    (*_state)->is_closed = true;
  }
  (*_state)->changed.notify_all();
  delete _state;
  [_device release];
  [super dealloc];
}
- (const std::shared_ptr<QueueState>&)state {
  return *_state;
}
- (id<MTLDevice>)device {
  return _device;
}
- (NSString*)label {
  const std::lock_guard lock((*_state)->mutex);
  return (*_state)->label.empty() ? nil : ns((*_state)->label);
}
- (void)setLabel:(NSString*)label {
  const std::lock_guard lock((*_state)->mutex);
  (*_state)->label = utf8(label);
}

- (id<MTLCommandBuffer>)makeRetaining:(BOOL)retains
                         errorOptions:(MTLCommandBufferErrorOption)options {
  QueueState& state = **_state;
  std::string label;
  bool needs_thread = false;
  {
    std::unique_lock lock(state.mutex);
    if (!state.changed.wait_for(lock, kExhausted,
                                [&] { return state.unfinished < state.maximum; })) {
      lock.unlock();
      stop("queue-exhausted",
           @"%lu command buffers of the queue are unfinished and nothing completes",
           (unsigned long)state.maximum);
    }
    label = state.label;
    if (take_fault("command-buffer", label))
      return nil;
    ++state.unfinished;
    needs_thread = !std::exchange(state.has_thread, true);
  }
  if (needs_thread)
    std::thread(run_queue, *_state).detach();
  count("command-buffers");
  return [[[StandinCommandBuffer alloc] initWithQueue:self retains:retains
                                         errorOptions:options] autorelease];
}
- (id<MTLCommandBuffer>)commandBuffer {
  return [self makeRetaining:YES errorOptions:MTLCommandBufferErrorOptionNone];
}
- (id<MTLCommandBuffer>)commandBufferWithUnretainedReferences {
  return [self makeRetaining:NO errorOptions:MTLCommandBufferErrorOptionNone];
}
- (id<MTLCommandBuffer>)commandBufferWithDescriptor:(MTLCommandBufferDescriptor*)descriptor {
  if (!descriptor)
    stop("command-buffer-descriptor", @"descriptor must not be nil");
  return [self makeRetaining:descriptor.retainedReferences errorOptions:descriptor.errorOptions];
}
@end
