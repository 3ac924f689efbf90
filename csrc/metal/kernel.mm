// Dispatching a kernel.
#include "metal/kernel.h"

#include "metal/arguments.h"
#include "metal/commands.h"
#include "metal/guarded.h"
#include "metal/self_test.h"

namespace metalwright::metal {

namespace {

constexpr double kSelfTestSeconds = 5;

MTLSize size(const Size3& size) {
  return MTLSizeMake(static_cast<NSUInteger>(size.x), static_cast<NSUInteger>(size.y),
                     static_cast<NSUInteger>(size.z));
}

// After one failure the next kernel may find a device that works, or none.
[[noreturn]] void fail(Context& context, const std::string& who, const CommandFailure& failure) {
  std::string text = who + " did not end well: " + failure.text;
  const FacilityTest test = run_self_test(context, kSelfTestSeconds);
  if (test.usable)
    text += ". The GPU itself still works";
  else
    text += ". The GPU failed its self-test afterwards: " + test.reason;
  throw DispatchError(failure.code, text);
}

} // namespace

MetalKernel::MetalKernel(std::shared_ptr<Context> context, Pipeline pipeline, std::string name,
                         std::shared_ptr<const std::string> source, std::string options)
    : context_(std::move(context)), pipeline_(std::move(pipeline)), name_(std::move(name)),
      source_(std::move(source)), options_(std::move(options)),
      max_threads_([pipeline_.state.get() maxTotalThreadsPerThreadgroup]),
      execution_width_([pipeline_.state.get() threadExecutionWidth]),
      static_memory_([pipeline_.state.get() staticThreadgroupMemoryLength]) {}

MetalKernel::~MetalKernel() {
  @autoreleasepool {
    pipeline_.state = {};
  }
}

Timing MetalKernel::dispatch(const Dispatch& dispatch) {
  CheckedDispatch checked;
  check_dispatch({name_, pipeline_.arguments, max_threads_, static_memory_,
                  context_->info.max_threadgroup_memory, context_->info.max_inline_bytes, true},
                 dispatch, checked);
  return in_pool([&] { return run(dispatch, checked); });
}

Timing MetalKernel::run(const Dispatch& dispatch, const CheckedDispatch& checked) {
  const std::string who = "kernel '" + name_ + "'";
  context_->health.require();
  const bool in_stream = dispatch.order == DispatchOrder::in_stream;
  // No order between torch's queue and ours is guaranteed: its work has to be over before ours.
  if (!in_stream)
    context_->torch.synchronize();
  BoundArguments arguments(context_->device.get(), *context_->allocations, name_, checked,
                           dispatch.order, context_->info.max_inline_bytes);
  const Encode encode = [&](id<MTLComputeCommandEncoder> encoder) {
    [encoder setComputePipelineState:pipeline_.state.get()];
    arguments.set(encoder);
    for (unsigned repeat = 0; repeat < dispatch.repeats; ++repeat) {
      if (dispatch.grid_is_threads)
        [encoder dispatchThreads:size(dispatch.grid)
            threadsPerThreadgroup:size(dispatch.threads_per_threadgroup)];
      else
        [encoder dispatchThreadgroups:size(dispatch.grid)
                threadsPerThreadgroup:size(dispatch.threads_per_threadgroup)];
    }
  };

  Timing timing;
  timing.repeats_per_run = dispatch.repeats;
  if (in_stream) {
    const auto root = context_->torch.encode(encode);
    context_->health.follow(root.get(), who);
  } else {
    WaitLimits limits;
    limits.deadline = dispatch.deadline;
    if (dispatch.interrupted)
      limits.interrupted = &dispatch.interrupted;
    const auto outcome = run_commands(*context_, who, encode, limits);
    if (const auto* failure = std::get_if<CommandFailure>(&outcome))
      fail(*context_, who, *failure);
    arguments.copy_back();
    if (const auto& interval = std::get<GpuInterval>(outcome);
        interval.is_time() && dispatch.repeats != 0) {
      timing.start = interval.start;
      timing.end = interval.end;
      timing.runs.push_back((interval.end - interval.start) / dispatch.repeats);
    }
  }
  timing.copied_bytes = arguments.copied_bytes();
  timing.copy_seconds = arguments.copy_seconds();
  return timing;
}

std::string MetalKernel::code(std::string_view stage) {
  if (stage != "msl")
    throw Error(errors::no_such_stage,
                "there is no stage '" + std::string(stage) +
                    "': the Metal device has 'msl', the source as Metal compiled it; what Apple's "
                    "compiler makes of it cannot be had at run time");
  return *source_;
}

std::string MetalKernel::explain() {
  return "compiled by: Metal, " + context_->os.text + ", for " + context_->info.name + " (" +
         context_->info.architecture + ")\noptions: " + options_ + "\npipeline: " +
         (pipeline_.from_archive ? "from the archive" : "compiled in this process") + ", at most " +
         std::to_string(max_threads_) + " threads per threadgroup, simdgroups of " +
         std::to_string(execution_width_) +
         "\nthreadgroup memory: " + std::to_string(static_memory_) + " bytes of its own\n";
}

} // namespace metalwright::metal
