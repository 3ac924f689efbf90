// Everything about a dispatch that can be refused before it runs, the same on every device.
#pragma once

#include "device.h"

#include <array>
#include <string>
#include <vector>

namespace metalwright {

inline constexpr unsigned kMaxIndex = 30; // of a buffer, and of threadgroup memory
// 31 buffers, 31 threadgroup arguments, 128 textures, 16 samplers
inline constexpr unsigned kMaxArguments = 206;

// What a dispatch is checked against.
struct KernelLimits {
  const std::string& name;
  const std::vector<Argument>& arguments;
  std::uint64_t max_threads_per_threadgroup;
  std::uint64_t static_threadgroup_memory;
  std::uint64_t max_threadgroup_memory = 32768;
  std::uint64_t max_inline_bytes = 4096;
  bool takes_resources = false; // whether BindingMemory::resource means anything to the device
};

// An active argument and what is bound to it.
struct CheckedArgument {
  const Argument* argument;
  const Binding* binding;           // null: the kernel does not use it and nothing is bound
  std::uint64_t threadgroup_offset; // threadgroup memory: of its first byte, after the static part
};

// A dispatch that passed. Points into the Dispatch and the kernel's arguments.
struct CheckedDispatch {
  std::array<std::uint32_t, 3> threads_per_grid;
  std::array<std::uint32_t, 3> threadgroups_per_grid;
  std::array<std::uint32_t, 3> threads_per_threadgroup; // as asked for; edge ones are smaller
  std::array<CheckedArgument, kMaxArguments> arguments; // in the order of the active ones
  unsigned argument_count = 0;
};

// Sizes, bindings and threadgroup memory against the kernel's reflection and the device's limits.
// Throws Error naming the argument; `checked` is then half filled.
void check_dispatch(const KernelLimits& kernel, const Dispatch& dispatch, CheckedDispatch& checked);

// "kernel 'add', argument 'x' (buffer 0)"
std::string place(const std::string& kernel, const Argument& argument);

} // namespace metalwright
