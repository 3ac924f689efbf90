// From a function to a pipeline.
#include "metal/pipeline.h"

#include "metal/failures.h"

namespace metalwright::metal {

namespace {

// MTLPipelineOptionBindingInfo is macOS 15's name for what was MTLPipelineOptionArgumentInfo.
constexpr NSUInteger kBindingInfo = 1;
constexpr NSUInteger kReflection = kBindingInfo | MTLPipelineOptionBufferTypeInfo;

[[noreturn]] void refuse(const std::string& name, const std::string& text) {
  const bool memory = text.find("hreadgroup memory") != std::string::npos &&
                      text.find("exceed") != std::string::npos;
  throw Error(memory ? errors::too_much_threadgroup_memory : errors::code_generation,
              "kernel '" + name + "': Metal made no pipeline of it: " + text);
}

} // namespace

Pipeline make_pipeline(Context& context, id<MTLFunction> function, const std::string& name,
                       const Signatures* signatures, const std::string& archive_facts) {
  id<MTLDevice> const device = context.device.get();
  auto descriptor =
      Owned<MTLComputePipelineDescriptor*>::adopt([[MTLComputePipelineDescriptor alloc] init]);
  descriptor.get().label = to_objc(name).get();
  descriptor.get().computeFunction = function;

  Pipeline pipeline;
  MTLComputePipelineReflection* reflection = nil;
  std::string reason;
  const auto make = [&](MTLPipelineOption extra) {
    NSError* error = nil;
    MTLAutoreleasedComputePipelineReflection made_reflection = nil;
    auto state = Owned<id<MTLComputePipelineState>>::adopt([device
        newComputePipelineStateWithDescriptor:descriptor.get()
                                      options:static_cast<MTLPipelineOption>(
                                                  kReflection | static_cast<NSUInteger>(extra))
                                   reflection:&made_reflection
                                        error:&error]);
    reflection = made_reflection;
    reason = state ? std::string() : describe_error(error);
    return state;
  };

  const bool archived = context.archive.is_used() && !archive_facts.empty();
  const std::string key = archived ? archive_key(archive_facts) : std::string();
  if (archived)
    pipeline.state = context.archive.look_up(device, descriptor.get(), key, make);
  pipeline.from_archive = static_cast<bool>(pipeline.state);
  if (!pipeline.state) {
    pipeline.state = make(MTLPipelineOptionNone);
    if (!pipeline.state)
      refuse(name, reason);
    if (archived)
      context.archive.add(device, descriptor.get(), key);
  }
  // 0 has been seen, and stands for a pipeline that cannot run.
  if ([pipeline.state.get() maxTotalThreadsPerThreadgroup] == 0)
    refuse(name, "the one it returned can run no threads");
  const std::uint64_t memory = [pipeline.state.get() staticThreadgroupMemoryLength];
  if (memory > context.info.max_threadgroup_memory)
    throw Error(errors::too_much_threadgroup_memory,
                "kernel '" + name + "' declares " + std::to_string(memory) +
                    " bytes of threadgroup memory, but there are " +
                    std::to_string(context.info.max_threadgroup_memory));
  if (signatures) {
    if (!reflection)
      refuse(name, "it came without reflection");
    pipeline.arguments = read_arguments(name, reflection, *signatures);
  }
  return pipeline;
}

} // namespace metalwright::metal
