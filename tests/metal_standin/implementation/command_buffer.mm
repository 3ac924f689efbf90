// Command buffers: from encoding to completion.
#import "command_buffer.h"

#import "capture.h"
#import "execution_error.h"

#include <Block.h>
#include <atomic>
#include <chrono>
#include <thread>

using namespace metal_standin;

NSErrorDomain const MTLCommandBufferErrorDomain = @"MTLCommandBufferErrorDomain";
NSString* const MTLCommandBufferEncoderInfoErrorKey = @"MTLCommandBufferEncoderInfoErrorKey";

namespace metal_standin {

struct CommandBufferState {
  std::mutex mutex;
  std::condition_variable changed;
  MTLCommandBufferStatus status = MTLCommandBufferStatusNotEnqueued;
  bool is_enqueued = false;
  std::atomic<bool> is_committed{false};
  bool is_finished = false; // the completed handlers have run
  MTLCommandBufferErrorOption error_options = MTLCommandBufferErrorOptionNone;
  NSError* error = nil;
  double kernel_start = 0, kernel_end = 0, gpu_start = 0, gpu_end = 0;
  std::vector<Pass> passes;
  std::vector<MTLCommandBufferHandler> scheduled_handlers, completed_handlers; // copied
  std::shared_ptr<QueueState> queue;
};

} // namespace metal_standin

static void forget(std::vector<Pass>& passes) {
  for (Pass& pass : passes) {
    for (Command& command : pass.commands)
      if (command.unretained)
        for (const auto& memory : command.memory)
          --memory->unretained_uses;
    for (Pass::Samples& samples : pass.samples)
      [samples.buffer release];
  }
  passes.clear();
}

static void leave_queue(QueueState& queue) {
  {
    const std::lock_guard lock(queue.mutex);
    --queue.unfinished;
  }
  queue.changed.notify_all();
}

@implementation MTLCommandBufferDescriptor
METAL_STANDIN_COUNTED
@synthesize retainedReferences = _retainedReferences;
@synthesize errorOptions = _errorOptions;
- (id)init {
  if ((self = [super init]))
    _retainedReferences = YES;
  return self;
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [super dealloc];
}
- (id)copyWithZone:(NSZone*)zone {
  MTLCommandBufferDescriptor* copy = [[MTLCommandBufferDescriptor allocWithZone:zone] init];
  copy.retainedReferences = _retainedReferences;
  copy.errorOptions = _errorOptions;
  return copy;
}
@end

@implementation StandinCommandBuffer
@synthesize label = _label;

- (id)initWithQueue:(StandinCommandQueue*)queue
            retains:(BOOL)retains
       errorOptions:(MTLCommandBufferErrorOption)options {
  if ((self = [super init])) {
    _queue = [queue retain];
    _retained = retains ? [[NSMutableArray alloc] init] : nil;
    _state = new CommandBufferState;
    _state->error_options = options;
    _state->queue = [queue state];
  }
  return self;
}

- (void)dealloc {
  forget(_state->passes);
  if (!_state->is_finished) // never committed
    leave_queue(*_state->queue);
  for (auto* handlers : {&_state->scheduled_handlers, &_state->completed_handlers})
    for (MTLCommandBufferHandler handler : *handlers)
      Block_release(handler);
  [_state->error release];
  delete _state;
  [_retained release];
  [_label release];
  [_queue release];
  [super dealloc];
}

- (id<MTLDevice>)device {
  return [_queue device];
}
- (id<MTLCommandQueue>)commandQueue {
  return _queue;
}
- (BOOL)retainedReferences {
  return _retained != nil;
}
- (MTLCommandBufferErrorOption)errorOptions {
  return _state->error_options;
}
- (MTLCommandBufferStatus)status {
  const std::lock_guard lock(_state->mutex);
  return _state->status;
}
- (NSError*)error {
  const std::lock_guard lock(_state->mutex);
  return [[_state->error retain] autorelease];
}

// ------------------------------------------------------------------ times: 0 until completed

- (CFTimeInterval)timeOf:(double CommandBufferState::*)member {
  const std::lock_guard lock(_state->mutex);
  return _state->status >= MTLCommandBufferStatusCompleted ? _state->*member : 0;
}
- (CFTimeInterval)kernelStartTime {
  return [self timeOf:&CommandBufferState::kernel_start];
}
- (CFTimeInterval)kernelEndTime {
  return [self timeOf:&CommandBufferState::kernel_end];
}
- (CFTimeInterval)GPUStartTime {
  return [self timeOf:&CommandBufferState::gpu_start];
}
- (CFTimeInterval)GPUEndTime {
  return [self timeOf:&CommandBufferState::gpu_end];
}

// ------------------------------------------------------------------ encoding

- (id<MTLComputeCommandEncoder>)makeEncoder:(MTLDispatchType)type
                                       pass:(MTLComputePassDescriptor*)pass {
  if (_state->is_committed)
    stop("encoding-after-commit",
         @"the command buffer is already committed; no encoder can be made");
  if (_encoder)
    stop("second-encoder", @"A command encoder is already encoding to this command buffer");
  _encoder = [[StandinComputeEncoder alloc] initWithCommandBuffer:self dispatchType:type pass:pass];
  return [_encoder autorelease];
}
- (id<MTLComputeCommandEncoder>)computeCommandEncoder {
  return [self makeEncoder:MTLDispatchTypeSerial pass:nil];
}
- (id<MTLComputeCommandEncoder>)computeCommandEncoderWithDispatchType:(MTLDispatchType)type {
  return [self makeEncoder:type pass:nil];
}
- (id<MTLComputeCommandEncoder>)computeCommandEncoderWithDescriptor:
    (MTLComputePassDescriptor*)descriptor {
  if (!descriptor)
    stop("compute-pass-descriptor", @"computePassDescriptor must not be nil");
  return [self makeEncoder:descriptor.dispatchType pass:descriptor];
}
- (void)retainResource:(id)resource {
  [_retained addObject:resource];
}
- (void)encoderEnded:(StandinComputeEncoder*)encoder pass:(Pass&&)pass {
  _encoder = nil;
  _state->passes.push_back(std::move(pass));
}
- (void)pushDebugGroup:(NSString*)string {
}
- (void)popDebugGroup {
}

// ------------------------------------------------------------------ handlers

- (void)addScheduledHandler:(MTLCommandBufferHandler)block {
  if (_state->is_committed)
    stop("handler-after-commit", @"Scheduled handler provided after commit call");
  _state->scheduled_handlers.push_back(Block_copy(block));
}
- (void)addCompletedHandler:(MTLCommandBufferHandler)block {
  if (_state->is_committed)
    stop("handler-after-commit", @"Completed handler provided after commit call");
  _state->completed_handlers.push_back(Block_copy(block));
}
- (void)call:(std::vector<MTLCommandBufferHandler>&)handlers {
  for (MTLCommandBufferHandler handler : handlers) {
    try {
      handler(self);
    } catch (...) { // ends the process on Apple
      note("exception-in-handler", @"an exception left a handler of a command buffer");
    }
    Block_release(handler);
  }
  handlers.clear();
}

// ------------------------------------------------------------------ committing and waiting

- (void)enqueue {
  if (std::exchange(_state->is_enqueued, true))
    stop("enqueued-twice", @"the command buffer is already enqueued");
  const std::lock_guard lock(_state->queue->mutex);
  _state->queue->enqueued.push_back([self retain]);
  const std::lock_guard own(_state->mutex);
  _state->status = MTLCommandBufferStatusEnqueued;
}

- (BOOL)isCommitted {
  return _state->is_committed;
}

- (void)commit {
  if (_state->is_committed)
    stop("committed-twice", @"commit an already committed command buffer");
  if (_encoder)
    stop("commit-with-open-encoder", @"commit command buffer with uncommitted encoder");
  if (!_state->is_enqueued)
    [self enqueue];
  command_buffer_started();
  capture_command_buffer();
  {
    const std::lock_guard lock(_state->queue->mutex);
    const std::lock_guard own(_state->mutex);
    _state->status = MTLCommandBufferStatusCommitted;
    _state->is_committed = true;
  }
  _state->queue->changed.notify_all();
}

- (void)waitUntilScheduled {
  if (!_state->is_committed)
    stop("wait-before-commit", @"waitUntilScheduled before commit never returns");
  std::unique_lock lock(_state->mutex);
  _state->changed.wait(lock, [&] { return _state->status >= MTLCommandBufferStatusScheduled; });
}

- (void)waitUntilCompleted {
  if (!_state->is_committed)
    stop("wait-before-commit", @"waitUntilCompleted before commit never returns");
  std::unique_lock lock(_state->mutex);
  _state->changed.wait(lock, [&] { return _state->is_finished; });
}

// ------------------------------------------------------------------ on the GPU thread

// Runs the passes. Gives the fault that ended them, or null.
- (const ExecutionFault*)runPasses:(std::size_t*)faulted message:(std::string*)message {
  const Settings now = settings();
  for (std::size_t i = 0; i < _state->passes.size(); ++i) {
    Pass& pass = _state->passes[i];
    *faulted = i;
    if (!pass.samples.empty() && now.counters == "never-completes")
      wait_for_clear_faults();
    const std::uint64_t start = now_nanoseconds();
    for (Command& command : pass.commands) {
      const RunResult result = run(command, now.watchdog_seconds);
      if (!result.good) {
        *message = result.message;
        return &fault_of_device_error(result.code);
      }
    }
    const std::uint64_t end = now_nanoseconds();
    const auto sample = [&](StandinCounterSampleBuffer* buffer, NSUInteger index,
                            std::uint64_t time) {
      if (index != MTLCounterDontSample)
        [buffer storeSample:now.counters == "good"           ? time
                            : now.counters == "error-values" ? MTLCounterErrorValue
                                                             : 0
                    atIndex:index];
    };
    for (const Pass::Samples& samples : pass.samples) {
      sample(samples.buffer, samples.start, start);
      sample(samples.buffer, samples.end, end);
    }
  }
  return nullptr;
}

- (void)execute {
  const std::string label = utf8([_queue label]);
  const Settings now = settings();
  if (now.scheduling_seconds > 0)
    std::this_thread::sleep_for(std::chrono::duration<double>(now.scheduling_seconds));
  {
    const std::lock_guard lock(_state->mutex);
    _state->kernel_start = now_seconds();
    _state->status = MTLCommandBufferStatusScheduled;
  }
  _state->changed.notify_all();
  [self call:_state->scheduled_handlers];
  _state->kernel_end = now_seconds();

  const ExecutionFault* fault = fault_to_come(label);
  std::size_t faulted = 0;
  std::string message;
  const double start = now_seconds();
  if (!fault) {
    fault = [self runPasses:&faulted message:&message];
    if (now.slow_seconds > 0 && label.find(now.slow_queue) != std::string::npos)
      std::this_thread::sleep_for(std::chrono::duration<double>(now.slow_seconds));
  } else if (fault->after_waiting) {
    wait_for_clear_faults();
  }
  // A failed command buffer looks instant.
  const double end = fault ? start : now_seconds();

  std::vector<std::string> labels;
  for (const Pass& pass : _state->passes)
    labels.push_back(pass.label);
  NSError* error = fault ? execution_error(*fault, message,
                                           _state->error_options &
                                               MTLCommandBufferErrorOptionEncoderExecutionStatus,
                                           labels, faulted)
                         : nil;
  forget(_state->passes);
  [_retained removeAllObjects];
  {
    const std::lock_guard lock(_state->mutex);
    _state->gpu_start = start;
    _state->gpu_end = end;
    _state->error = [error retain];
    _state->status = fault ? MTLCommandBufferStatusError : MTLCommandBufferStatusCompleted;
  }
  [self call:_state->completed_handlers];
  // Before anyone who waits goes on, so that what the next one needs is free.
  leave_queue(*_state->queue);
  {
    const std::lock_guard lock(_state->mutex);
    _state->is_finished = true;
  }
  _state->changed.notify_all();
  command_buffer_ended();
}
@end
