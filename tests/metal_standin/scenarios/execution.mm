// Command buffers that run: order, completion, times, failures.
#include "scenario.h"

#include <dispatch/dispatch.h>
#include <mach/mach_time.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

using namespace scenario;
using metal_standin::Settings;

static void change(void (*edit)(Settings&)) {
  Settings settings = metal_standin::settings();
  edit(settings);
  metal_standin::set_settings(settings);
}

SCENARIO(a_kernel_runs) {
  const Bench bench;
  id<MTLBuffer> in = bench.buffer(256), out = bench.buffer(256);
  for (int i = 0; i < 64; ++i)
    static_cast<float*>([in contents])[i] = float(i);
  id<MTLCommandBuffer> commands = start_copy(bench, in, out);
  [commands waitUntilCompleted];
  CHECK([commands status] == MTLCommandBufferStatusCompleted);
  CHECK([commands error] == nil);
  for (int i = 0; i < 64; ++i)
    CHECK(static_cast<float*>([out contents])[i] == float(i));
}

SCENARIO(times_are_zero_until_completed) {
  change([](Settings& settings) { settings.slow_seconds = 0.05; });
  const Bench bench;
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  dispatch_semaphore_t looked = dispatch_semaphore_create(0);
  [commands addScheduledHandler:^(id<MTLCommandBuffer>) {
    dispatch_semaphore_wait(looked, DISPATCH_TIME_FOREVER);
  }];
  [commands commit];
  [commands waitUntilScheduled];
  CHECK([commands status] == MTLCommandBufferStatusScheduled);
  CHECK([commands GPUStartTime] == 0);
  CHECK([commands GPUEndTime] == 0);
  dispatch_semaphore_signal(looked);
  [commands waitUntilCompleted];
  const double start = [commands GPUStartTime], end = [commands GPUEndTime];
  CHECK(start > 0);
  CHECK(end - start >= 0.05 - 1e-6);
  CHECK([commands kernelStartTime] > 0);
  CHECK([commands kernelStartTime] <= start);
  const double ticks = start * 24e6; // resolution of 41.67 ns
  CHECK(std::abs(ticks - std::round(ticks)) < 1e-3);
  dispatch_release(looked);
}

SCENARIO(one_queue_runs_in_order) {
  const Bench bench;
  id<MTLBuffer> count = bench.buffer(4);
  __block std::vector<int> order;
  std::vector<id<MTLCommandBuffer>> all;
  for (int i = 0; i < 20; ++i) {
    id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:bench.pipeline("increment")];
    [encoder setBuffer:count offset:0 atIndex:0];
    [encoder dispatchThreads:MTLSizeMake(10, 1, 1) threadsPerThreadgroup:MTLSizeMake(10, 1, 1)];
    [encoder endEncoding];
    [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
      order.push_back(i);
    }];
    if (i == 0)
      [commands enqueue];
    all.push_back(commands);
  }
  for (int i = 19; i > 0; --i) // committed backwards, behind the one enqueued first
    [all[i] commit];
  CHECK([all[19] status] == MTLCommandBufferStatusCommitted);
  [all[0] commit];
  for (id<MTLCommandBuffer> commands : all)
    [commands waitUntilCompleted];
  CHECK(order.size() == 20);
  CHECK(order[0] == 0);
  CHECK(order[1] == 19);
  CHECK(order[19] == 1);
  CHECK(*static_cast<unsigned*>([count contents]) == 200);
}

SCENARIO(queues_run_beside_each_other) {
  const Bench bench;
  id<MTLCommandQueue> other = [[bench.device newCommandQueue] autorelease];
  other.label = @"other";
  metal_standin::inject("never-completes", 1, 0, "other");
  id<MTLCommandBuffer> stuck = [other commandBuffer];
  [stuck commit];
  id<MTLCommandBuffer> commands = start_copy(bench, bench.buffer(256), bench.buffer(256));
  [commands waitUntilCompleted];
  CHECK(metal_standin::wait_until_stuck(30));
  CHECK([stuck status] < MTLCommandBufferStatusCompleted);
  metal_standin::clear_faults();
  [stuck waitUntilCompleted];
  CHECK([stuck status] == MTLCommandBufferStatusError);
}

SCENARIO(handlers_run_before_the_wait_ends) {
  const Bench bench;
  for (int i = 0; i < 50; ++i) {
    id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
    __block bool scheduled = false, completed = false;
    [commands addScheduledHandler:^(id<MTLCommandBuffer>) {
      scheduled = true;
    }];
    [commands addCompletedHandler:^(id<MTLCommandBuffer> done) {
      completed = scheduled && [done status] == MTLCommandBufferStatusCompleted;
    }];
    [commands commit];
    [commands waitUntilCompleted];
    CHECK(completed);
  }
}

SCENARIO(command_buffers_keep_their_resources) {
  const Bench bench;
  change([](Settings& settings) { settings.scheduling_seconds = 0.05; });
  id<MTLCommandBuffer> commands = nil;
  @autoreleasepool {
    commands = [start_copy(bench, bench.buffer(256), bench.buffer(256)) retain];
  }
  [commands waitUntilCompleted];
  CHECK([commands status] == MTLCommandBufferStatusCompleted);
  [commands release];
}

SCENARIO(no_object_is_left) {
  {
    @autoreleasepool {
      const Bench bench;
      for (int i = 0; i < 20; ++i)
        [start_copy(bench, bench.buffer(256), bench.buffer(256)) waitUntilCompleted];
    }
  }
  // The GPU thread lets go of the last command buffer a moment after the wait has ended.
  std::map<std::string, std::int64_t> live;
  for (int i = 0; i < 200; ++i) {
    live = metal_standin::live_objects();
    live.erase("StandinDevice"); // there for ever
    if (live.empty())
      return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::string text;
  for (const auto& [name, number] : live)
    text += name + " " + std::to_string(number) + " ";
  check(false, "no object is left: " + text);
}

SCENARIO(a_leak_is_counted) {
  const Bench bench;
  const auto before = metal_standin::live_objects()["StandinBuffer"];
  id<MTLBuffer> leaked = [bench.device newBufferWithLength:16 options:0];
  CHECK(metal_standin::live_objects()["StandinBuffer"] == before + 1);
  [leaked release];
  CHECK(metal_standin::live_objects()["StandinBuffer"] == before);
}

// ------------------------------------------------------------------ failures

static void expect_failure(const char* fault, MTLCommandBufferError code, NSString* text) {
  const Bench bench;
  metal_standin::inject(fault);
  id<MTLBuffer> in = bench.buffer(256), out = bench.buffer(256);
  static_cast<float*>([in contents])[0] = 7;
  MTLCommandBufferDescriptor* descriptor = [[[MTLCommandBufferDescriptor alloc] init] autorelease];
  descriptor.errorOptions = MTLCommandBufferErrorOptionEncoderExecutionStatus;
  id<MTLCommandBuffer> commands = [bench.queue commandBufferWithDescriptor:descriptor];
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  encoder.label = @"faulty";
  [encoder setComputePipelineState:bench.pipeline("copy")];
  [encoder setBuffer:out offset:0 atIndex:0];
  [encoder setBuffer:in offset:0 atIndex:1];
  [encoder dispatchThreads:MTLSizeMake(64, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK([commands status] == MTLCommandBufferStatusError);
  CHECK([[[commands error] domain] isEqualToString:MTLCommandBufferErrorDomain]);
  CHECK(NSUInteger([[commands error] code]) == code);
  CHECK([[[commands error] localizedDescription] rangeOfString:text].length > 0);
  CHECK([commands GPUStartTime] == [commands GPUEndTime]); // looks instant
  CHECK(static_cast<float*>([out contents])[0] == 0);      // and left what was there
  NSArray<id<MTLCommandBufferEncoderInfo>>* encoders =
      [[[commands error] userInfo] objectForKey:MTLCommandBufferEncoderInfoErrorKey];
  CHECK([encoders count] == 1);
  CHECK([[[encoders objectAtIndex:0] label] isEqualToString:@"faulty"]);
  CHECK([[encoders objectAtIndex:0] errorState] == MTLCommandEncoderErrorStateFaulted);
}

SCENARIO(fault_timeout) {
  expect_failure("timeout", MTLCommandBufferErrorTimeout, @"Caused GPU Timeout Error");
}
SCENARIO(fault_impacting_interactivity) {
  expect_failure("impacting-interactivity", MTLCommandBufferErrorInternal,
                 @"ImpactingInteractivity");
}
SCENARIO(fault_page_fault) {
  expect_failure("page-fault", MTLCommandBufferErrorPageFault, @"Address Fault");
}
SCENARIO(fault_out_of_memory) {
  expect_failure("out-of-memory", MTLCommandBufferErrorOutOfMemory, @"Insufficient Memory");
}
SCENARIO(fault_internal) {
  expect_failure("internal", MTLCommandBufferErrorInternal, @"Internal Error");
}

SCENARIO(fault_device_lost) {
  expect_failure("device-lost", MTLCommandBufferErrorDeviceRemoved, @"removed");
  const Bench bench;
  id<MTLCommandBuffer> next = start_copy(bench, bench.buffer(256), bench.buffer(256));
  [next waitUntilCompleted];
  CHECK([next status] == MTLCommandBufferStatusError);
  CHECK([[next error] code] == MTLCommandBufferErrorAccessRevoked);
  metal_standin::clear_faults();
  id<MTLCommandBuffer> found = start_copy(bench, bench.buffer(256), bench.buffer(256));
  [found waitUntilCompleted];
  CHECK([found status] == MTLCommandBufferStatusCompleted);
}

SCENARIO(fault_never_completes) {
  const Bench bench;
  metal_standin::inject("never-completes");
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  dispatch_semaphore_t done = dispatch_semaphore_create(0);
  [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
    dispatch_semaphore_signal(done);
  }];
  [commands commit];
  const auto soon = dispatch_time(DISPATCH_TIME_NOW, 50 * NSEC_PER_MSEC);
  CHECK(dispatch_semaphore_wait(done, soon) != 0);
  CHECK(metal_standin::wait_until_stuck(30));
  metal_standin::clear_faults();
  CHECK(dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER) == 0);
  CHECK([commands status] == MTLCommandBufferStatusError);
  dispatch_release(done);
}

SCENARIO(faults_count_and_skip) {
  const Bench bench;
  metal_standin::inject("timeout", 2, 1);
  std::string outcome;
  for (int i = 0; i < 5; ++i) {
    id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
    [commands commit];
    [commands waitUntilCompleted];
    outcome += [commands status] == MTLCommandBufferStatusError ? 'x' : '.';
  }
  check(outcome == ".xx..", outcome + " is .xx..");
}

SCENARIO(an_endless_kernel_meets_the_watchdog) {
  change([](Settings& settings) { settings.watchdog_seconds = 0.1; });
  const Bench bench;
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:bench.pipeline("endless")];
  [encoder setBuffer:bench.buffer(4) offset:0 atIndex:0];
  [encoder dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK([commands status] == MTLCommandBufferStatusError);
  CHECK([[commands error] code] == MTLCommandBufferErrorTimeout);
}

SCENARIO(nil_when_injected) {
  const Bench bench;
  metal_standin::inject("allocation");
  CHECK([bench.device newBufferWithLength:16 options:0] == nil);
  metal_standin::inject("command-queue");
  CHECK([bench.device newCommandQueue] == nil);
  metal_standin::inject("command-buffer");
  CHECK([bench.queue commandBuffer] == nil);
}

SCENARIO(a_full_queue_blocks) {
  const Bench bench;
  id<MTLCommandQueue> narrow =
      [[bench.device newCommandQueueWithMaxCommandBufferCount:1] autorelease];
  metal_standin::inject("never-completes");
  [[narrow commandBuffer] commit];
  std::atomic<bool> got{false};
  std::thread waiting([&] {
    @autoreleasepool {
      [[narrow commandBuffer] commit];
      got = true;
    }
  });
  CHECK(metal_standin::wait_until_stuck(30));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(!got);
  metal_standin::clear_faults();
  waiting.join();
  CHECK(got);
}

// ------------------------------------------------------------------ counters

static std::vector<std::uint64_t> sample_a_pass(const Bench& bench) {
  MTLCounterSampleBufferDescriptor* descriptor =
      [[[MTLCounterSampleBufferDescriptor alloc] init] autorelease];
  descriptor.counterSet = [[bench.device counterSets] objectAtIndex:0];
  descriptor.sampleCount = 2;
  NSError* error = nil;
  id<MTLCounterSampleBuffer> samples =
      [[bench.device newCounterSampleBufferWithDescriptor:descriptor error:&error] autorelease];
  MTLComputePassDescriptor* pass = [MTLComputePassDescriptor computePassDescriptor];
  MTLComputePassSampleBufferAttachmentDescriptor* attachment =
      [pass.sampleBufferAttachments objectAtIndexedSubscript:0];
  attachment.sampleBuffer = samples;
  attachment.startOfEncoderSampleIndex = 0;
  attachment.endOfEncoderSampleIndex = 1;
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoderWithDescriptor:pass];
  [encoder setComputePipelineState:bench.pipeline("increment")];
  [encoder setBuffer:bench.buffer(4) offset:0 atIndex:0];
  [encoder dispatchThreads:MTLSizeMake(100, 1, 1) threadsPerThreadgroup:MTLSizeMake(10, 1, 1)];
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  NSData* data = [samples resolveCounterRange:NSMakeRange(0, 2)];
  CHECK([data length] == 2 * sizeof(MTLCounterResultTimestamp));
  const auto* values = static_cast<const MTLCounterResultTimestamp*>([data bytes]);
  return {values[0].timestamp, values[1].timestamp};
}

SCENARIO(counter_samples) {
  const Bench bench;
  CHECK([bench.device supportsCounterSampling:MTLCounterSamplingPointAtStageBoundary]);
  CHECK(![bench.device supportsCounterSampling:MTLCounterSamplingPointAtDispatchBoundary]);
  std::vector<std::uint64_t> samples = sample_a_pass(bench);
  CHECK(samples[0] > 0);
  CHECK(samples[1] > samples[0]);
  change([](Settings& settings) { settings.counters = "zeros"; });
  samples = sample_a_pass(bench);
  CHECK(samples[0] == 0 && samples[1] == 0);
  change([](Settings& settings) { settings.counters = "error-values"; });
  samples = sample_a_pass(bench);
  CHECK(samples[0] == MTLCounterErrorValue);
  change([](Settings& settings) { settings.counter_sets = false; });
  CHECK([bench.device counterSets] == nil);
}

SCENARIO(counter_sampling_that_never_completes) {
  change([](Settings& settings) { settings.counters = "never-completes"; });
  const Bench bench;
  std::atomic<bool> ended{false};
  std::thread sampling([&] {
    @autoreleasepool {
      sample_a_pass(bench);
      ended = true;
    }
  });
  CHECK(metal_standin::wait_until_stuck(30));
  CHECK(!ended);
  metal_standin::clear_faults();
  sampling.join();
}

// ------------------------------------------------------------------ clocks and queues of the host

SCENARIO(mach_time_needs_its_timebase) {
  mach_timebase_info_data_t base;
  mach_timebase_info(&base);
  const std::uint64_t before = mach_absolute_time();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::uint64_t ticks = mach_absolute_time() - before;
  const std::uint64_t nanoseconds = ticks * base.numer / base.denom;
  CHECK(nanoseconds >= 20'000'000 - 100);
  CHECK(ticks < nanoseconds / 10);
}

SCENARIO(dispatch_queues) {
  dispatch_queue_t queue = dispatch_queue_create("test", DISPATCH_QUEUE_SERIAL);
  __block std::vector<int> order;
  for (int i = 0; i < 100; ++i) {
    if (i % 3 == 0)
      dispatch_sync(queue, ^{
        order.push_back(i);
      });
    else
      dispatch_async(queue, ^{
        order.push_back(i);
      });
  }
  dispatch_sync(queue, ^{
    CHECK(metal_standin_is_on_queue(queue));
  });
  CHECK(!metal_standin_is_on_queue(queue));
  CHECK(order.size() == 100);
  for (int i = 0; i < 100; ++i)
    CHECK(order[i] == i);
  expect_misuse("dispatch-sync-deadlock", ^{
    @try {
      dispatch_sync(queue, ^{
        dispatch_sync(queue, ^{
                      });
      });
    } @catch (NSException* exception) {
      // The exception crossed the outer block, which is a second misuse.
      CHECK(metal_standin::misuses().size() == 2);
      metal_standin::clear_misuses();
      metal_standin::record_misuse("dispatch-sync-deadlock", "as seen");
      @throw;
    }
  });
  dispatch_release(queue);
}
