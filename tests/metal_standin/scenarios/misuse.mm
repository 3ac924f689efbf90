// What Metal's debug layer stops a program for.
#include "scenario.h"

#include <cstdlib>
#include <stdexcept>

using namespace scenario;

// Null where the compiler does not see it.
static id no_object() {
  static volatile id none = nil;
  return none;
}
static void* no_pointer() {
  static void* volatile none = nullptr;
  return none;
}

// An encoder of `bench` with everything that `copy` needs; `change` may spoil it before the
// dispatch.
static void dispatch_copy(const Bench& bench, void (^change)(id<MTLComputeCommandEncoder>),
                          MTLSize grid = MTLSizeMake(64, 1, 1),
                          MTLSize group = MTLSizeMake(32, 1, 1)) {
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:bench.pipeline("copy")];
  [encoder setBuffer:bench.buffer(256) offset:0 atIndex:0];
  [encoder setBuffer:bench.buffer(256) offset:0 atIndex:1];
  @try {
    change(encoder);
    [encoder dispatchThreads:grid threadsPerThreadgroup:group];
  } @finally {
    [encoder endEncoding];
  }
}

SCENARIO(second_encoder) {
  const Bench bench;
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  expect_misuse("second-encoder", ^{
    [commands computeCommandEncoder];
  });
  [encoder endEncoding];
  [[commands computeCommandEncoder] endEncoding]; // one after the other is right
}

SCENARIO(encoding_after_commit) {
  const Bench bench;
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  [commands commit];
  expect_misuse("encoding-after-commit", ^{
    [commands computeCommandEncoder];
  });
}

SCENARIO(ended_twice) {
  const Bench bench;
  id<MTLComputeCommandEncoder> encoder = [[bench.queue commandBuffer] computeCommandEncoder];
  [encoder endEncoding];
  expect_misuse("ended-twice", ^{
    [encoder endEncoding];
  });
}

SCENARIO(use_after_end) {
  const Bench bench;
  id<MTLComputeCommandEncoder> encoder = [[bench.queue commandBuffer] computeCommandEncoder];
  [encoder endEncoding];
  expect_misuse("encoder-has-ended", ^{
    [encoder setBuffer:bench.buffer(16) offset:0 atIndex:0];
  });
}

SCENARIO(commit_with_open_encoder) {
  const Bench bench;
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  expect_misuse("commit-with-open-encoder", ^{
    [commands commit];
  });
  [encoder endEncoding];
}

SCENARIO(committed_twice) {
  const Bench bench;
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  [commands commit];
  expect_misuse("committed-twice", ^{
    [commands commit];
  });
}

SCENARIO(encoder_released_without_end) {
  const Bench bench;
  expect_note("released-without-end", ^{
    @autoreleasepool {
      [[bench.queue commandBuffer] computeCommandEncoder];
    }
  });
}

SCENARIO(wait_before_commit) {
  const Bench bench;
  expect_misuse("wait-before-commit", ^{
    [[bench.queue commandBuffer] waitUntilCompleted];
  });
}

SCENARIO(handler_after_commit) {
  const Bench bench;
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  [commands commit];
  expect_misuse("handler-after-commit", ^{
    [commands addCompletedHandler:^(id<MTLCommandBuffer>){
    }];
  });
}

SCENARIO(dispatch_without_pipeline) {
  const Bench bench;
  id<MTLComputeCommandEncoder> encoder = [[bench.queue commandBuffer] computeCommandEncoder];
  expect_misuse("no-pipeline", ^{
    [encoder dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
  });
  expect_misuse("no-pipeline", ^{
    [encoder setComputePipelineState:no_object()];
  });
  [encoder endEncoding];
}

SCENARIO(missing_argument) {
  const Bench bench;
  expect_misuse("missing-argument", ^{
    dispatch_copy(bench, ^(id<MTLComputeCommandEncoder> encoder) {
      [encoder setBuffer:nil offset:0 atIndex:1];
    });
  });
}

SCENARIO(misaligned_offset) {
  const Bench bench;
  expect_misuse("misaligned-offset", ^{
    dispatch_copy(bench, ^(id<MTLComputeCommandEncoder> encoder) {
      [encoder setBufferOffset:2 atIndex:1];
    });
  });
  id<MTLComputeCommandEncoder> encoder = [[bench.queue commandBuffer] computeCommandEncoder];
  [encoder setComputePipelineState:bench.pipeline("scale")];
  const float by[4] = {1, 2, 3, 4};
  [encoder setBytes:by length:sizeof by atIndex:1];
  [encoder setBuffer:bench.buffer(256) offset:8 atIndex:0]; // float4 needs 16
  expect_misuse("misaligned-offset", ^{
    [encoder dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
  });
  [encoder endEncoding];
}

SCENARIO(offset_outside_the_buffer) {
  const Bench bench;
  expect_misuse("offset-outside", ^{
    dispatch_copy(bench, ^(id<MTLComputeCommandEncoder> encoder) {
      [encoder setBuffer:bench.buffer(256) offset:260 atIndex:1];
    });
  });
  expect_misuse("offset-outside", ^{
    dispatch_copy(bench, ^(id<MTLComputeCommandEncoder> encoder) {
      [encoder setBufferOffset:257 atIndex:0];
    });
  });
  expect_misuse("buffer-too-short", ^{ // the end is an offset, but there is no element
    dispatch_copy(bench, ^(id<MTLComputeCommandEncoder> encoder) {
      [encoder setBufferOffset:256 atIndex:0];
    });
  });
}

SCENARIO(value_too_short_for_its_type) {
  const Bench bench;
  id<MTLComputeCommandEncoder> encoder = [[bench.queue commandBuffer] computeCommandEncoder];
  [encoder setComputePipelineState:bench.pipeline("scale")];
  [encoder setBuffer:bench.buffer(256) offset:0 atIndex:0];
  const float by[2] = {1, 2};
  [encoder setBytes:by length:sizeof by atIndex:1];
  expect_misuse("buffer-too-short", ^{
    [encoder dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
  });
  [encoder endEncoding];
}

SCENARIO(bytes_limits) {
  const Bench bench;
  id<MTLComputeCommandEncoder> encoder = [[bench.queue commandBuffer] computeCommandEncoder];
  static char bytes[5000];
  expect_misuse("bytes-length", ^{
    [encoder setBytes:bytes length:4097 atIndex:0];
  });
  expect_misuse("bytes-length", ^{
    [encoder setBytes:bytes length:0 atIndex:0];
  });
  [encoder setBytes:bytes length:4096 atIndex:0];
  [encoder endEncoding];
}

SCENARIO(bytes_bound_to_what_is_written) {
  const Bench bench;
  expect_misuse("bytes-are-written", ^{
    dispatch_copy(bench, ^(id<MTLComputeCommandEncoder> encoder) {
      static char bytes[256];
      [encoder setBytes:bytes length:256 atIndex:0];
    });
  });
}

SCENARIO(buffer_index_limit) {
  const Bench bench;
  id<MTLComputeCommandEncoder> encoder = [[bench.queue commandBuffer] computeCommandEncoder];
  [encoder setBuffer:bench.buffer(16) offset:0 atIndex:30];
  expect_misuse("buffer-index", ^{
    [encoder setBuffer:bench.buffer(16) offset:0 atIndex:31];
  });
  [encoder endEncoding];
}

SCENARIO(threadgroup_memory) {
  const Bench bench;
  id<MTLComputeCommandEncoder> encoder = [[bench.queue commandBuffer] computeCommandEncoder];
  [encoder setComputePipelineState:bench.pipeline("share")];
  [encoder setBuffer:bench.buffer(256) offset:0 atIndex:0];
  void (^dispatch)() = ^{
    [encoder dispatchThreads:MTLSizeMake(32, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
  };
  expect_misuse("missing-argument", dispatch);
  expect_misuse("threadgroup-memory-length", ^{
    [encoder setThreadgroupMemoryLength:100 atIndex:0];
  });
  expect_misuse("threadgroup-memory-index", ^{
    [encoder setThreadgroupMemoryLength:16 atIndex:31];
  });
  expect_misuse("too-much-threadgroup-memory", ^{
    [encoder setThreadgroupMemoryLength:32768 + 16 atIndex:0];
  });
  [encoder setThreadgroupMemoryLength:128 atIndex:0];
  dispatch();
  [encoder endEncoding];
}

SCENARIO(too_many_threads) {
  const Bench bench;
  void (^nothing)(id<MTLComputeCommandEncoder>) = ^(id<MTLComputeCommandEncoder>) {
  };
  expect_misuse("too-many-threads", ^{
    dispatch_copy(bench, nothing, MTLSizeMake(64, 1, 1), MTLSizeMake(1025, 1, 1));
  });
  expect_misuse("too-many-threads", ^{
    dispatch_copy(bench, nothing, MTLSizeMake(64, 1, 1), MTLSizeMake(32, 33, 1));
  });
  id<MTLComputeCommandEncoder> encoder = [[bench.queue commandBuffer] computeCommandEncoder];
  [encoder setComputePipelineState:bench.pipeline("limited")];
  [encoder setBuffer:bench.buffer(1024) offset:0 atIndex:0];
  expect_misuse("too-many-threads", ^{
    [encoder dispatchThreads:MTLSizeMake(65, 1, 1) threadsPerThreadgroup:MTLSizeMake(65, 1, 1)];
  });
  [encoder endEncoding];
}

SCENARIO(empty_dispatch) {
  const Bench bench;
  void (^nothing)(id<MTLComputeCommandEncoder>) = ^(id<MTLComputeCommandEncoder>) {
  };
  expect_misuse("empty-dispatch", ^{
    dispatch_copy(bench, nothing, MTLSizeMake(0, 1, 1));
  });
  expect_misuse("empty-dispatch", ^{
    dispatch_copy(bench, nothing, MTLSizeMake(1, 1, 1), MTLSizeMake(1, 0, 1));
  });
  expect_misuse("grid-too-large", ^{
    dispatch_copy(bench, nothing, MTLSizeMake(NSUInteger(1) << 32, 1, 1));
  });
}

SCENARIO(another_device) {
  metal_standin::Settings settings = metal_standin::settings();
  settings.device_count = 2;
  metal_standin::set_settings(settings);
  const Bench bench;
  NSArray<id<MTLDevice>>* all = [MTLCopyAllDevices() autorelease];
  CHECK([all count] == 2);
  id<MTLDevice> other = [all objectAtIndex:1];
  CHECK([other registryID] != [bench.device registryID]);
  id<MTLBuffer> buffer = [[other newBufferWithLength:256 options:0] autorelease];
  expect_misuse("another-device", ^{
    dispatch_copy(bench, ^(id<MTLComputeCommandEncoder> encoder) {
      [encoder setBuffer:buffer offset:0 atIndex:0];
    });
  });
  id<MTLComputeCommandEncoder> encoder =
      [[[[other newCommandQueue] autorelease] commandBuffer] computeCommandEncoder];
  expect_misuse("another-device", ^{
    [encoder setComputePipelineState:bench.pipeline("copy")];
  });
  [encoder endEncoding];
}

SCENARIO(buffer_making) {
  const Bench bench;
  expect_misuse("buffer-length", ^{
    [bench.device newBufferWithLength:0 options:0];
  });
  expect_misuse("buffer-length", ^{
    [bench.device newBufferWithLength:[bench.device maxBufferLength] + 1 options:0];
  });
  expect_misuse("buffer-pointer", ^{
    [bench.device newBufferWithBytes:no_pointer() length:16 options:0];
  });
}

SCENARIO(no_copy_needs_whole_pages) {
  const Bench bench;
  constexpr std::size_t page = 16384; // a multiple of every page size
  char* memory = static_cast<char*>(std::aligned_alloc(page, 2 * page));
  expect_misuse("not-page-aligned", ^{
    [bench.device newBufferWithBytesNoCopy:memory + 64 length:page options:0 deallocator:nil];
  });
  expect_misuse("not-page-aligned", ^{
    [bench.device newBufferWithBytesNoCopy:memory length:100 options:0 deallocator:nil];
  });
  __block bool freed = false;
  @autoreleasepool {
    id<MTLBuffer> buffer = [[bench.device newBufferWithBytesNoCopy:memory
                                                            length:page
                                                           options:0
                                                       deallocator:^(void* pointer, NSUInteger) {
                                                         freed = pointer == memory;
                                                       }] autorelease];
    CHECK([buffer contents] == memory);
  }
  CHECK(freed);
  std::free(memory);
}

SCENARIO(contents_of_a_private_buffer) {
  const Bench bench;
  id<MTLBuffer> buffer =
      [[bench.device newBufferWithLength:64 options:MTLResourceStorageModePrivate] autorelease];
  CHECK([buffer storageMode] == MTLStorageModePrivate);
  expect_misuse("contents-of-private-buffer", ^{
    [buffer contents];
  });
}

SCENARIO(released_in_flight) {
  const Bench bench;
  metal_standin::inject("never-completes");
  expect_note("released-in-flight", ^{
    @autoreleasepool {
      id<MTLCommandBuffer> commands = [bench.queue commandBufferWithUnretainedReferences];
      id<MTLBuffer> buffer = [bench.device newBufferWithLength:256 options:0];
      id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
      [encoder setComputePipelineState:bench.pipeline("increment")];
      [encoder setBuffer:buffer offset:0 atIndex:0];
      [encoder dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
      [encoder endEncoding];
      [commands commit];
      [buffer release];
    }
  });
  metal_standin::clear_faults();
}

SCENARIO(sampling_within_an_encoder) {
  const Bench bench;
  MTLCounterSampleBufferDescriptor* descriptor =
      [[[MTLCounterSampleBufferDescriptor alloc] init] autorelease];
  descriptor.counterSet = [[bench.device counterSets] objectAtIndex:0];
  descriptor.sampleCount = 2;
  NSError* error = nil;
  id<MTLCounterSampleBuffer> samples =
      [[bench.device newCounterSampleBufferWithDescriptor:descriptor error:&error] autorelease];
  CHECK(samples != nil);
  id<MTLComputeCommandEncoder> encoder = [[bench.queue commandBuffer] computeCommandEncoder];
  expect_misuse("counter-sampling-point", ^{
    [encoder sampleCountersInBuffer:samples atSampleIndex:0 withBarrier:YES];
  });
  [encoder endEncoding];
}

SCENARIO(new_api_on_an_old_system) {
  metal_standin::Settings settings = metal_standin::settings();
  settings.macos_major = 14;
  metal_standin::set_settings(settings);
  MTLCompileOptions* options = [[[MTLCompileOptions alloc] init] autorelease];
  options.fastMathEnabled = NO;
  expect_misuse("unavailable-api", ^{
    options.mathMode = MTLMathModeSafe;
  });
}

SCENARIO(counter_attachments) {
  const Bench bench;
  MTLComputePassDescriptor* pass = [MTLComputePassDescriptor computePassDescriptor];
  expect_misuse("attachment-index", ^{
    [pass.sampleBufferAttachments objectAtIndexedSubscript:4];
  });
  MTLCounterSampleBufferDescriptor* descriptor =
      [[[MTLCounterSampleBufferDescriptor alloc] init] autorelease];
  descriptor.counterSet = [[bench.device counterSets] objectAtIndex:0];
  descriptor.sampleCount = 2;
  NSError* error = nil;
  [pass.sampleBufferAttachments objectAtIndexedSubscript:0].sampleBuffer =
      [[bench.device newCounterSampleBufferWithDescriptor:descriptor error:&error] autorelease];
  [pass.sampleBufferAttachments objectAtIndexedSubscript:0].endOfEncoderSampleIndex = 2;
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  expect_misuse("sample-index", ^{
    [commands computeCommandEncoderWithDescriptor:pass];
  });
  expect_misuse("compute-pass-descriptor", ^{
    [commands computeCommandEncoderWithDescriptor:no_object()];
  });
}

SCENARIO(enqueued_twice) {
  const Bench bench;
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  [commands enqueue];
  expect_misuse("enqueued-twice", ^{
    [commands enqueue];
  });
  [commands commit];
}

SCENARIO(exception_in_a_handler) {
  const Bench bench;
  expect_note("exception-in-handler", ^{
    id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
    [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
      throw std::runtime_error("from a handler");
    }];
    [commands commit];
    [commands waitUntilCompleted];
  });
}

SCENARIO(promised_multiple_of_the_execution_width) {
  const Bench bench;
  MTLComputePipelineDescriptor* descriptor =
      [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  descriptor.computeFunction = [[bench.library newFunctionWithName:@"increment"] autorelease];
  descriptor.threadGroupSizeIsMultipleOfThreadExecutionWidth = YES;
  NSError* error = nil;
  id<MTLComputePipelineState> pipeline =
      [[bench.device newComputePipelineStateWithDescriptor:descriptor
                                                   options:MTLPipelineOptionNone
                                                reflection:NULL
                                                     error:&error] autorelease];
  id<MTLComputeCommandEncoder> encoder = [[bench.queue commandBuffer] computeCommandEncoder];
  [encoder setComputePipelineState:pipeline];
  [encoder setBuffer:bench.buffer(4) offset:0 atIndex:0];
  expect_misuse("not-a-multiple", ^{
    [encoder dispatchThreads:MTLSizeMake(64, 1, 1) threadsPerThreadgroup:MTLSizeMake(33, 1, 1)];
  });
  [encoder endEncoding];
}

SCENARIO(not_a_buffer) {
  const Bench bench;
  id<MTLComputeCommandEncoder> encoder = [[bench.queue commandBuffer] computeCommandEncoder];
  expect_misuse("not-a-buffer", ^{
    [encoder setBuffer:(id<MTLBuffer>)@"a string" offset:0 atIndex:0];
  });
  [encoder endEncoding];
}

SCENARIO(modified_range) {
  const Bench bench;
  expect_misuse("did-modify-range", ^{
    [bench.buffer(64) didModifyRange:NSMakeRange(0, 64)];
  });
  id<MTLBuffer> managed =
      [[bench.device newBufferWithLength:64 options:MTLResourceStorageModeManaged] autorelease];
  [managed didModifyRange:NSMakeRange(0, 64)];
  expect_misuse("did-modify-range", ^{
    [managed didModifyRange:NSMakeRange(0, 65)];
  });
}
