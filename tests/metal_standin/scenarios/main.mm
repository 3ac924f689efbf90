// Runs one scenario by name (exit status 0: as expected), or lists them.
#include "scenario.h"

#include <cstdio>
#include <cstring>
#include <map>

std::shared_ptr<metalwright::Device> scenario_backend();

using namespace metal_standin;

namespace scenario {

static std::map<std::string, void (*)()>& scenarios() {
  static std::map<std::string, void (*)()> all;
  return all;
}

Registration::Registration(const char* name, void (*run)()) {
  scenarios()[name] = run;
}

void check(bool good, const std::string& what) {
  if (!good)
    throw std::runtime_error("not so: " + what);
}

static void expect_recorded(const std::string& code) {
  const std::vector<Misuse> found = misuses();
  check(found.size() == 1, "one misuse is recorded, not " + std::to_string(found.size()));
  check(found[0].code == code,
        "the misuse is " + code + ", not " + found[0].code + ": " + found[0].message);
  check(!found[0].message.empty(), "the misuse has a text");
  clear_misuses();
}

void expect_misuse(const std::string& code, void (^body)()) {
  expect_no_misuse();
  bool stopped = false;
  @try {
    body();
  } @catch (NSException* exception) {
    stopped = true;
    check([[exception reason] hasPrefix:@"failed assertion"], "the reason reads like Metal's");
  }
  check(stopped, "the program is stopped for " + code);
  expect_recorded(code);
}

void expect_note(const std::string& code, void (^body)()) {
  expect_no_misuse();
  body();
  expect_recorded(code);
}

void expect_no_misuse() {
  for (const Misuse& misuse : misuses())
    throw std::runtime_error("misuse " + misuse.code + ": " + misuse.message);
}

static const char* const kSource = R"(
#include <metal_stdlib>
using namespace metal;
kernel void copy(device float* out [[buffer(0)]], const device float* in [[buffer(1)]],
                 uint i [[thread_position_in_grid]]) { out[i] = in[i]; }
kernel void scale(device float4* out [[buffer(0)]], constant float4& by [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) { out[i] = out[i] * by; }
kernel void share(device float* out [[buffer(0)]], threadgroup float* room [[threadgroup(0)]],
                  uint i [[thread_position_in_threadgroup]]) {
  room[i] = float(i);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = room[i ^ 1];
}
kernel void increment(device atomic_uint* count [[buffer(0)]]) {
  atomic_fetch_add_explicit(count, 1u, memory_order_relaxed);
}
kernel void endless(device uint* out [[buffer(0)]]) {
  volatile device uint* flag = out;
  while (flag[0] == 0u) {}
}
kernel void limited(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]])
    [[max_total_threads_per_threadgroup(64)]] { out[i] = 1.0f; }
)";

id<MTLLibrary> compile(id<MTLDevice> device, const char* source, NSError** error,
                       MTLCompileOptions* options) {
  return [[device newLibraryWithSource:[NSString stringWithUTF8String:source]
                               options:options
                                 error:error] autorelease];
}

Bench::Bench() : device(MTLCreateSystemDefaultDevice()), queue([device newCommandQueue]) {
  NSError* error = nil;
  library = [compile(device, kSource, &error) retain];
  check(library != nil, "the kernels compile: " +
                            std::string(error ? [[error localizedDescription] UTF8String] : ""));
}

Bench::Bench(const Bench& other)
    : device([other.device retain]), queue([other.queue retain]), library([other.library retain]) {}

Bench::~Bench() {
  [library release];
  [queue release];
  [device release];
}

id<MTLComputePipelineState> Bench::pipeline(const char* kernel,
                                            MTLComputePipelineReflection** reflection) const {
  MTLComputePipelineDescriptor* descriptor =
      [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  descriptor.computeFunction =
      [[library newFunctionWithName:[NSString stringWithUTF8String:kernel]] autorelease];
  NSError* error = nil;
  id<MTLComputePipelineState> made =
      [device newComputePipelineStateWithDescriptor:descriptor
                                            options:MTLPipelineOptionBindingInfo |
                                                    MTLPipelineOptionBufferTypeInfo
                                         reflection:reflection
                                              error:&error];
  check(made != nil, "a pipeline of " + std::string(kernel) + ": " +
                         std::string(error ? [[error localizedDescription] UTF8String] : ""));
  return [made autorelease];
}

id<MTLBuffer> Bench::buffer(NSUInteger length) const {
  id<MTLBuffer> made = [[device newBufferWithLength:length
                                            options:MTLResourceStorageModeShared] autorelease];
  std::memset([made contents], 0, length);
  return made;
}

id<MTLCommandBuffer> start_copy(const Bench& bench, id<MTLBuffer> in, id<MTLBuffer> out) {
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:bench.pipeline("copy")];
  [encoder setBuffer:out offset:0 atIndex:0];
  [encoder setBuffer:in offset:0 atIndex:1];
  [encoder dispatchThreads:MTLSizeMake(64, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
  [encoder endEncoding];
  [commands commit];
  return commands;
}

} // namespace scenario

int main(int argc, char** argv) {
  using namespace scenario;
  if (argc != 2) {
    for (const auto& [name, run] : scenarios())
      std::puts(name.c_str());
    return argc == 1 ? 0 : 2;
  }
  const auto found = scenarios().find(argv[1]);
  if (found == scenarios().end()) {
    std::fprintf(stderr, "no such scenario: %s\n", argv[1]);
    return 2;
  }
  set_backend(scenario_backend());
  std::string failure;
  @autoreleasepool {
    @try {
      try {
        found->second();
        expect_no_misuse();
      } catch (const std::exception& error) {
        failure = error.what();
      }
    } @catch (NSException* exception) {
      failure = "unexpected NSException: " + std::string([[exception reason] UTF8String]);
    }
  }
  if (failure.empty() && !wait_until_idle(10))
    failure = "a command buffer has not ended";
  if (!failure.empty()) {
    std::fprintf(stderr, "%s: %s\n", argv[1], failure.c_str());
    return 1;
  }
  std::printf("%s: as expected\n", argv[1]);
  return 0;
}
