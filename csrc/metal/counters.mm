// Timestamps sampled by the GPU at the boundaries of a compute pass: whether they can be believed.
#include "metal/counters.h"

#include "metal/commands.h"
#include "metal/guarded.h"
#include "metal/internal_kernel.h"

#include <cstdio>
#include <cstring>

namespace metalwright::metal {

namespace {

constexpr const char* kSource = R"(
#include <metal_stdlib>
kernel void metalwright_busy(device float* out, uint i [[thread_position_in_grid]]) {
  float x = float(i) * 1e-3f + 1.0f;
  for (int j = 0; j < 2000; ++j)
    x = metal::fma(x, 0.999f, 0.5f);
  out[i] = x;
})";
constexpr unsigned kThreads = 65536;
constexpr double kSeconds = 5;
// How far the samples' own interval may be from the command buffer's, which also holds what lies
// between the buffer's ends and the pass.
constexpr double kFactor = 4;

id<MTLCounterSet> timestamp_set(id<MTLDevice> device) {
  for (id<MTLCounterSet> set in [device counterSets])
    if ([[set name] isEqualToString:MTLCommonCounterSetTimestamp])
      return set;
  return nil;
}

// Empty if the samples can be used.
std::string try_samples(Context& context) {
  id<MTLDevice> const device = context.device.get();
  if (![device supportsCounterSampling:MTLCounterSamplingPointAtStageBoundary])
    return "the GPU does not sample at the boundaries of a pass";
  id<MTLCounterSet> const set = timestamp_set(device);
  if (!set)
    return "the GPU has no timestamp counters";
  auto descriptor = Owned<MTLCounterSampleBufferDescriptor*>::adopt(
      [[MTLCounterSampleBufferDescriptor alloc] init]);
  descriptor.get().counterSet = set;
  descriptor.get().label = @"metalwright";
  descriptor.get().storageMode = MTLStorageModeShared;
  descriptor.get().sampleCount = 2;
  NSError* error = nil;
  const auto samples = Owned<id<MTLCounterSampleBuffer>>::adopt(
      [device newCounterSampleBufferWithDescriptor:descriptor.get() error:&error]);
  if (!samples)
    return "no buffer for samples: " + describe_error(error);
  const auto pipeline = internal_kernel(context, kSource, "metalwright_busy");
  const auto buffer = make_buffer(device, kThreads * sizeof(float));
  MTLComputePassDescriptor* const pass = [MTLComputePassDescriptor computePassDescriptor];
  pass.dispatchType = MTLDispatchTypeSerial;
  MTLComputePassSampleBufferAttachmentDescriptor* const attachment =
      [pass.sampleBufferAttachments objectAtIndexedSubscript:0];
  attachment.sampleBuffer = samples.get();
  attachment.startOfEncoderSampleIndex = 0;
  attachment.endOfEncoderSampleIndex = 1;

  MTLTimestamp cpu[2] = {}, gpu[2] = {};
  [device sampleTimestamps:&cpu[0] gpuTimestamp:&gpu[0]];
  WaitLimits limits;
  limits.deadline = kSeconds;
  const auto outcome = run_commands(
      context, "the test of the counters",
      [&](id<MTLComputeCommandEncoder> encoder) {
        [encoder setComputePipelineState:pipeline.get()];
        [encoder setBuffer:buffer.get() offset:0 atIndex:0];
        [encoder dispatchThreads:MTLSizeMake(kThreads, 1, 1)
            threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
      },
      limits, pass);
  [device sampleTimestamps:&cpu[1] gpuTimestamp:&gpu[1]];
  if (const auto* failure = std::get_if<CommandFailure>(&outcome))
    return "a command buffer with samples failed: " + failure->text;
  const auto& interval = std::get<GpuInterval>(outcome);
  if (!interval.is_time())
    return "the command buffer has no times to compare with";
  NSData* const data = [samples.get() resolveCounterRange:NSMakeRange(0, 2)];
  MTLCounterResultTimestamp times[2] = {};
  if ([data length] < sizeof times)
    return "the samples could not be read back";
  std::memcpy(times, [data bytes], sizeof times);
  for (const MTLCounterResultTimestamp& time : times)
    if (time.timestamp == 0 || time.timestamp == MTLCounterErrorValue)
      return "the GPU wrote no samples (all zeros or errors)";
  if (times[1].timestamp <= times[0].timestamp)
    return "the second sample is not after the first";
  // The GPU's ticks in seconds, from two pairs of both clocks around the pass.
  if (gpu[1] <= gpu[0] || cpu[1] <= cpu[0])
    return "the GPU's clock does not advance beside the host's";
  const double tick =
      static_cast<double>(cpu[1] - cpu[0]) * 1e-9 / static_cast<double>(gpu[1] - gpu[0]);
  const double sampled = static_cast<double>(times[1].timestamp - times[0].timestamp) * tick;
  const double known = interval.end - interval.start;
  if (sampled > known * kFactor || sampled < known / kFactor) {
    char text[120];
    std::snprintf(text, sizeof text,
                  "the samples are %.3g s apart, but the command buffer took %.3g s", sampled,
                  known);
    return text;
  }
  return {};
}

} // namespace

FacilityTest test_counter_samples(Context& context) {
  std::string problem;
  auto body = [&] { in_pool([&] { problem = try_samples(context); }); };
  if (const std::exception_ptr thrown =
          catch_exception([](void* pointer) { (*static_cast<decltype(body)*>(pointer))(); }, &body))
    problem = describe(thrown);
  return {problem.empty(), problem};
}

} // namespace metalwright::metal
