// A stand-in for torch's stream on the GPU.
#include "torch_stream.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>
#include <dispatch/dispatch.h>

#import "objects.h"

#include <atomic>
#include <dlfcn.h>
#include <stdexcept>

using namespace metal_standin;

namespace {

// As torch's MPSStream. Touched on its queue, or by one thread before 2.15.
struct Stream {
  dispatch_queue_t serial = dispatch_queue_create("metal gpu stream", DISPATCH_QUEUE_SERIAL);
  id<MTLCommandQueue> queue = nil;
  MPSCommandBuffer* command_buffer = nil;
  id<MTLComputeCommandEncoder> encoder = nil; // torch's own, left open between kernels
  id<MTLComputePipelineState> pipeline = nil;
};

Stream& stream() {
  static Stream* const made = new Stream;
  return *made;
}

std::atomic<int> version{(2 << 16) + 13};

bool is_at_least(int minor) {
  return version >= (2 << 16) + minor;
}

id<MTLCommandQueue> queue() {
  if (!stream().queue) {
    stream().queue = [[StandinDevice deviceNumber:0] newCommandQueue];
    stream().queue.label = @"torch";
  }
  return stream().queue;
}

MPSCommandBuffer* command_buffer() {
  if (!stream().command_buffer)
    stream().command_buffer = [[MPSCommandBuffer commandBufferFromCommandQueue:queue()] retain];
  return stream().command_buffer;
}

id<MTLComputeCommandEncoder> encoder() {
  if (!stream().encoder)
    stream().encoder = [[command_buffer() computeCommandEncoder] retain];
  return stream().encoder;
}

void end_encoder() {
  [stream().encoder endEncoding];
  [stream().encoder release];
  stream().encoder = nil;
}

void must_be_on_queue(const char* function) {
  if (is_at_least(15) && !metal_standin_is_on_queue(stream().serial))
    stop("torch-off-queue", @"torch::mps::%s must be called on torch's dispatch queue", function);
}

void commit_and_wait() {
  end_encoder();
  MPSCommandBuffer* last = std::exchange(stream().command_buffer, nil);
  if (!last)
    return;
  [last commit];
  [last waitUntilCompleted];
  [last release];
}

id<MTLComputePipelineState> pipeline() {
  if (!stream().pipeline) {
    NSString* source = @"kernel void multiply_add(device float* x, constant float& factor, "
                       @"constant float& summand, uint i [[thread_position_in_grid]]) "
                       @"{ x[i] = x[i] * factor + summand; }";
    id<MTLDevice> device = [StandinDevice deviceNumber:0];
    NSError* error = nil;
    id<MTLLibrary> library =
        [device newLibraryWithSource:[@"#include <metal_stdlib>\nusing namespace metal;\n"
                                         stringByAppendingString:source]
                             options:nil
                               error:&error];
    id<MTLFunction> function = [library newFunctionWithName:@"multiply_add"];
    stream().pipeline = [device newComputePipelineStateWithFunction:function error:&error];
    [function release];
    [library release];
    if (!stream().pipeline)
      throw std::runtime_error("torch's kernel did not compile: " +
                               utf8([error localizedDescription]));
  }
  return stream().pipeline;
}

} // namespace

// ------------------------------------------------------------------ torch/mps.h

namespace torch::mps {

__attribute__((visibility("default"))) void* get_command_buffer() {
  must_be_on_queue("get_command_buffer");
  if (is_at_least(9))
    end_encoder();
  return command_buffer();
}

__attribute__((visibility("default"))) dispatch_queue_t get_dispatch_queue() {
  return stream().serial;
}

__attribute__((visibility("default"))) void commit() {
  must_be_on_queue("commit");
  end_encoder();
  [command_buffer() commitAndContinue];
}

__attribute__((visibility("default"))) void synchronize() {
  @autoreleasepool {
    if (is_at_least(15))
      dispatch_sync(stream().serial, ^{
        commit_and_wait();
      });
    else
      commit_and_wait();
  }
}

} // namespace torch::mps

// ------------------------------------------------------------------ for the tests

namespace torch_standin {

// Python's side knows C++ exceptions only.
template <typename Body> static void guarded(const Body& body) {
  std::string reason;
  @autoreleasepool {
    @try {
      body();
      return;
    } @catch (NSException* exception) {
      reason = utf8([exception reason]);
    }
  }
  throw std::runtime_error(reason);
}

void set_version(int major, int minor) {
  version = (major << 16) + minor;
}

void load_globally() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&torch::mps::commit), &info) == 0 ||
      !dlopen(info.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD))
    throw std::runtime_error("the stand-in for torch cannot be made global");
}

static void encode_multiply_add(id<MTLBuffer> buffer, std::uint64_t offset, std::uint64_t count,
                                float factor, float summand) {
  id<MTLComputePipelineState> state = pipeline();
  id<MTLComputeCommandEncoder> open = encoder();
  [open setComputePipelineState:state];
  [open setBuffer:buffer offset:offset atIndex:0];
  [open setBytes:&factor length:sizeof factor atIndex:1];
  [open setBytes:&summand length:sizeof summand atIndex:2];
  [open dispatchThreads:MTLSizeMake(count, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
}

void enqueue_multiply_add(std::uint64_t buffer, std::uint64_t offset, std::uint64_t count,
                          float factor, float summand) {
  guarded([&] {
    dispatch_sync(stream().serial, ^{
      encode_multiply_add((id<MTLBuffer>)buffer, offset, count, factor, summand);
    });
  });
}

void synchronize() {
  guarded([] { torch::mps::synchronize(); });
}

void synchronize_on_queue() {
  guarded([] {
    dispatch_sync(stream().serial, ^{
      torch::mps::synchronize();
    });
  });
}

void commit_off_queue() {
  guarded([] { torch::mps::commit(); });
}

void reset() {
  guarded([] {
    dispatch_sync(stream().serial, ^{
      end_encoder();
      [stream().command_buffer release];
      stream().command_buffer = nil;
      [stream().pipeline release];
      stream().pipeline = nil;
      [stream().queue release];
      stream().queue = nil;
    });
  });
}

std::uint64_t new_buffer(std::uint64_t length, bool is_private, std::uint64_t round_to,
                         unsigned device) {
  std::uint64_t made = 0;
  guarded([&] {
    const std::uint64_t rounded = (length + round_to - 1) / round_to * round_to;
    id<MTLBuffer> buffer = [[StandinDevice deviceNumber:device]
        newBufferWithLength:rounded
                    options:is_private ? MTLResourceStorageModePrivate
                                       : MTLResourceStorageModeShared];
    made = reinterpret_cast<std::uint64_t>(buffer);
  });
  return made;
}

void release_buffer(std::uint64_t buffer) {
  guarded([&] { [(id<MTLBuffer>)buffer release]; });
}

std::uint64_t buffer_length(std::uint64_t buffer) {
  return [(id<MTLBuffer>)buffer length];
}

unsigned buffer_retain_count(std::uint64_t buffer) {
  return unsigned([(id<MTLBuffer>)buffer retainCount]);
}

void* buffer_memory(std::uint64_t buffer) {
  return [(StandinBuffer*)buffer memory]->data;
}

} // namespace torch_standin
