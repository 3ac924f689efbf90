// The checks of Metal's debug layer at a dispatch, and the dispatch that passes them.
#import "encoder_state.h"

#include <algorithm>

using namespace metalwright;

namespace metal_standin {

static constexpr NSUInteger kDeviceThreads = 1024;
static constexpr NSUInteger kThreadgroupMemory = 32768;

void check_sizes(const StandinEncoderState& state, MTLSize grid, MTLSize group) {
  if (!state.pipeline)
    stop("no-pipeline", @"a dispatch needs a compute pipeline state");
  const auto check_axis = [](const char* what, const char* axis, NSUInteger size) {
    if (size == 0)
      stop("empty-dispatch", @"%s.%s(0) must not be 0.", what, axis);
    if (size > 0xffffffffu)
      stop("grid-too-large", @"%s.%s(%lu) must be < 2^32.", what, axis, (unsigned long)size);
  };
  check_axis("grid", "width", grid.width);
  check_axis("grid", "height", grid.height);
  check_axis("grid", "depth", grid.depth);
  check_axis("threadsPerThreadgroup", "width", group.width);
  check_axis("threadsPerThreadgroup", "height", group.height);
  check_axis("threadsPerThreadgroup", "depth", group.depth);
  const NSUInteger threads = group.width * group.height * group.depth;
  const auto check_product = [&](NSUInteger limit, const char* whose) {
    if (threads > limit)
      stop("too-many-threads",
           @"(threadsPerThreadgroup.width(%lu) * threadsPerThreadgroup.height(%lu) * "
           @"threadsPerThreadgroup.depth(%lu))(%lu) must be <= %lu. (%s threadgroup size limit)",
           (unsigned long)group.width, (unsigned long)group.height, (unsigned long)group.depth,
           (unsigned long)threads, (unsigned long)limit, whose);
  };
  check_product(kDeviceThreads, "device");
  check_product([state.pipeline maxTotalThreadsPerThreadgroup], "kernel");
  if ([state.pipeline needsMultipleOfExecutionWidth] &&
      threads % [state.pipeline threadExecutionWidth] != 0)
    stop("not-a-multiple",
         @"the pipeline promises threadgroups of a multiple of %lu threads; this one has %lu",
         (unsigned long)[state.pipeline threadExecutionWidth], (unsigned long)threads);
}

// The data type's size, at most 16, and never less than 4 bytes in `constant` memory.
static NSUInteger needed_alignment(const Argument& argument) {
  const NSUInteger own = std::clamp<NSUInteger>(argument.alignment, 1, 16);
  return argument.address_space == AddressSpace::constant ? std::max<NSUInteger>(own, 4) : own;
}

static void check_buffer(const StandinEncoderState& state, const Argument& argument,
                         const std::string& kernel) {
  const StandinEncoderState::Slot& slot = state.slots[argument.index];
  const char* name = argument.name.c_str();
  if (!slot.is_set())
    stop("missing-argument", @"Compute Function(%s): missing buffer binding at index %u for %s[0].",
         kernel.c_str(), argument.index, name);
  if (slot.bytes && argument.access != Access::read)
    stop("bytes-are-written",
         @"Compute Function(%s): Read-only bytes are being bound at index %u to a shader argument "
         @"with write access enabled (did you mean to use const or constant in the shader?).",
         kernel.c_str(), argument.index);
  if (slot.offset % needed_alignment(argument) != 0)
    stop("misaligned-offset",
         @"Compute Function(%s): the offset into the buffer %s that is bound at buffer index %u "
         @"must be a multiple of %lu but was set to %lu.",
         kernel.c_str(), name, argument.index, (unsigned long)needed_alignment(argument),
         (unsigned long)slot.offset);
  const NSUInteger space = slot.length() - slot.offset;
  if (space < argument.size)
    stop("buffer-too-short",
         @"Compute Function(%s): argument %s[0] from buffer(%u) with offset(%lu) and length(%lu) "
         @"has space for %lu bytes, but argument has a length(%lu).",
         kernel.c_str(), name, argument.index, (unsigned long)slot.offset,
         (unsigned long)slot.length(), (unsigned long)space, (unsigned long)argument.size);
}

void check_arguments(const StandinEncoderState& state) {
  Kernel& kernel = *[state.pipeline kernel];
  NSUInteger memory = kernel.static_threadgroup_memory();
  for (const Argument& argument : kernel.arguments()) {
    if (!argument.is_active)
      continue;
    if (argument.kind == ArgumentKind::buffer) {
      if (argument.is_used || state.slots[argument.index].is_set())
        check_buffer(state, argument, kernel.name());
      continue;
    }
    const NSUInteger length = state.threadgroup_lengths[argument.index];
    if (length == 0 && argument.is_used)
      stop("missing-argument",
           @"Compute Function(%s): missing threadgroup memory binding at index %u for %s[0].",
           kernel.name().c_str(), argument.index, argument.name.c_str());
    memory += length;
  }
  if (memory > kThreadgroupMemory)
    stop("too-much-threadgroup-memory",
         @"Compute Function(%s): the threadgroup memory used (%lu) must be <= %lu",
         kernel.name().c_str(), (unsigned long)memory, (unsigned long)kThreadgroupMemory);
}

Command make_command(const StandinEncoderState& state, bool grid_is_threads, MTLSize grid,
                     MTLSize group) {
  Command command;
  command.kernel = [state.pipeline kernel];
  Dispatch& dispatch = command.dispatch;
  dispatch.grid_is_threads = grid_is_threads;
  dispatch.grid = {grid.width, grid.height, grid.depth};
  dispatch.threads_per_threadgroup = {group.width, group.height, group.depth};
  for (const Argument& argument : command.kernel->arguments()) {
    if (!argument.is_active)
      continue;
    Binding binding;
    binding.kind = argument.kind;
    binding.index = argument.index;
    if (argument.kind == ArgumentKind::threadgroup_memory) {
      binding.length = state.threadgroup_lengths[argument.index];
      if (binding.length != 0)
        dispatch.bindings.push_back(binding);
      continue;
    }
    const StandinEncoderState::Slot& slot = state.slots[argument.index];
    if (!slot.is_set())
      continue;
    binding.pointer = static_cast<std::byte*>(slot.pointer()) + slot.offset;
    binding.length = slot.length() - slot.offset;
    dispatch.bindings.push_back(binding);
    if (slot.memory)
      command.memory.push_back(slot.memory);
    else
      command.bytes.push_back(slot.bytes);
  }
  return command;
}

} // namespace metal_standin
