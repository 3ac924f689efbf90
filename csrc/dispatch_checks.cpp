// Sizes, bindings and threadgroup memory against the kernel's reflection and the device's limits.
#include "dispatch_checks.h"

#include "errors.h"
#include "textures.h"

#include <algorithm>

namespace metalwright {

namespace {

constexpr std::uint64_t kMaxGrid = 0xffffffff;

std::string to_string(const Size3& size) {
  return "(" + std::to_string(size.x) + ", " + std::to_string(size.y) + ", " +
         std::to_string(size.z) + ")";
}

void check_sizes(const KernelLimits& kernel, const Dispatch& dispatch, CheckedDispatch& checked) {
  const Size3& group = dispatch.threads_per_threadgroup;
  auto fail = [&](const char* code, const std::string& what) {
    throw Error(code, "kernel '" + kernel.name + "': " + what);
  };
  auto empty = [](const Size3& size) { return size.x == 0 || size.y == 0 || size.z == 0; };
  if (empty(dispatch.grid))
    fail(errors::empty_dispatch, "the grid " + to_string(dispatch.grid) + " has a size of 0");
  if (empty(group))
    fail(errors::empty_dispatch, "the threadgroup " + to_string(group) + " has a size of 0");
  // Each factor first: the product of three large ones would overflow.
  const std::uint64_t limit = kernel.max_threads_per_threadgroup;
  if (group.x > limit || group.y > limit || group.z > limit || group.product() > limit)
    fail(errors::too_many_threads, "a threadgroup of " + to_string(group) + " has more than " +
                                       std::to_string(limit) + " threads");
  const std::uint64_t grid[3] = {dispatch.grid.x, dispatch.grid.y, dispatch.grid.z};
  const std::uint64_t threads[3] = {group.x, group.y, group.z};
  for (unsigned axis = 0; axis < 3; ++axis) {
    const bool too_large = grid[axis] > kMaxGrid ||
                           (!dispatch.grid_is_threads && grid[axis] * threads[axis] > kMaxGrid);
    if (too_large)
      fail(errors::grid_too_large, "dimension " + std::string(1, "xyz"[axis]) + " of the grid " +
                                       to_string(dispatch.grid) +
                                       " has more than 2^32 - 1 threads");
    const std::uint64_t groups =
        dispatch.grid_is_threads ? (grid[axis] + threads[axis] - 1) / threads[axis] : grid[axis];
    checked.threads_per_grid[axis] = static_cast<std::uint32_t>(
        dispatch.grid_is_threads ? grid[axis] : grid[axis] * threads[axis]);
    checked.threadgroups_per_grid[axis] = static_cast<std::uint32_t>(groups);
    checked.threads_per_threadgroup[axis] = static_cast<std::uint32_t>(threads[axis]);
  }
  const auto& total = checked.threads_per_grid;
  if (std::uint64_t{total[0]} * total[1] > (std::uint64_t{1} << 62) / total[2])
    fail(errors::grid_too_large, "the grid " + to_string(dispatch.grid) +
                                     " has more threads than any "
                                     "machine could run");
}

void check_buffer(const KernelLimits& kernel, const Argument& argument, const Binding& binding) {
  if (!binding.pointer)
    throw Error(errors::null_pointer,
                place(kernel.name, argument) + ": a null pointer is bound to it");
  if (binding.memory == BindingMemory::resource && !kernel.takes_resources)
    throw Error(errors::foreign_memory, place(kernel.name, argument) +
                                            ": it is memory of another device, which this one "
                                            "cannot reach; copy it to the host first");
  if (binding.memory == BindingMemory::value) {
    if (argument.access != Access::read)
      throw Error(errors::value_is_written,
                  place(kernel.name, argument) +
                      ": the kernel may write to it, so it takes memory, not a value");
    if (binding.length > kernel.max_inline_bytes)
      throw Error(errors::value_too_long,
                  place(kernel.name, argument) + ": a value of " + std::to_string(binding.length) +
                      " bytes is longer than the device takes inline (" +
                      std::to_string(kernel.max_inline_bytes) + "); bind memory that holds it");
  }
  // A resource is an opaque handle whose own first byte is aligned to everything.
  const bool resource = binding.memory == BindingMemory::resource;
  const std::uint64_t address =
      (resource ? 0 : reinterpret_cast<std::uintptr_t>(binding.pointer)) + binding.offset;
  if (address % argument.alignment != 0)
    throw Error(errors::misaligned_pointer,
                place(kernel.name, argument) + ": its " + (resource ? "offset" : "address") +
                    " must be a multiple of " + std::to_string(argument.alignment) +
                    " bytes, the alignment of " + argument.type_name + ", but it is " +
                    std::to_string(address % argument.alignment) + " past one");
  if (argument.is_reference && binding.length < argument.size)
    throw Error(errors::buffer_too_short, place(kernel.name, argument) + ": " +
                                              std::to_string(binding.length) +
                                              " bytes are bound, but a " + argument.type_name +
                                              " has " + std::to_string(argument.size));
}

// Few kernels have textures, and those have few: they are looked for one by one.
const Binding* find_binding(const Dispatch& dispatch, const Argument& argument) {
  for (const Binding& binding : dispatch.bindings)
    if (binding.kind == argument.kind && binding.index == argument.index)
      return &binding;
  return nullptr;
}

void check_texture(const KernelLimits& kernel, const Argument& argument, const Binding& binding) {
  if (!binding.pointer)
    throw Error(errors::null_pointer,
                place(kernel.name, argument) + ": a null pointer is bound to it");
  if (argument.kind != ArgumentKind::texture)
    return;
  const std::string mismatch =
      texture_mismatch(*static_cast<const Texture*>(binding.pointer), argument.type_name);
  if (!mismatch.empty())
    throw Error(errors::wrong_texture, place(kernel.name, argument) + ": it " + mismatch);
}

const char* kind_name(ArgumentKind kind) {
  switch (kind) {
  case ArgumentKind::buffer:
    return "buffer ";
  case ArgumentKind::threadgroup_memory:
    return "threadgroup memory ";
  case ArgumentKind::texture:
    return "texture ";
  case ArgumentKind::sampler:
    break;
  }
  return "sampler ";
}

bool is_texture_or_sampler(ArgumentKind kind) {
  return kind == ArgumentKind::texture || kind == ArgumentKind::sampler;
}

} // namespace

std::string place(const std::string& kernel, const Argument& argument) {
  return "kernel '" + kernel + "', argument '" + argument.name + "' (" +
         (argument.kind == ArgumentKind::threadgroup_memory ? "threadgroup "
                                                            : kind_name(argument.kind)) +
         std::to_string(argument.index) + ")";
}

void check_dispatch(const KernelLimits& kernel, const Dispatch& dispatch,
                    CheckedDispatch& checked) {
  check_sizes(kernel, dispatch, checked);

  const Binding* bound[2][32] = {};
  for (const Binding& binding : dispatch.bindings) {
    const bool buffer = binding.kind == ArgumentKind::buffer;
    const std::string kind = kind_name(binding.kind);
    if (is_texture_or_sampler(binding.kind))
      continue;
    if (binding.index > kMaxIndex)
      throw Error(errors::no_such_argument, "kernel '" + kernel.name + "': " + kind +
                                                std::to_string(binding.index) +
                                                ": indices end at 30");
    const Binding*& slot = bound[buffer ? 0 : 1][binding.index];
    if (slot)
      throw Error(errors::duplicate_argument, "kernel '" + kernel.name + "': " + kind +
                                                  std::to_string(binding.index) +
                                                  " is bound twice");
    slot = &binding;
  }

  std::uint64_t memory = kernel.static_threadgroup_memory;
  checked.argument_count = 0;
  std::size_t used = 0;
  for (const Argument& argument : kernel.arguments) {
    if (!argument.is_active)
      continue;
    const bool buffer = argument.kind == ArgumentKind::buffer;
    const Binding* binding = is_texture_or_sampler(argument.kind)
                                 ? find_binding(dispatch, argument)
                                 : bound[buffer ? 0 : 1][argument.index];
    if (!binding) {
      if (argument.is_used)
        throw Error(errors::missing_argument, place(kernel.name, argument) + " (" +
                                                  argument.type_name + "): nothing is bound to it");
      checked.arguments[checked.argument_count++] = {&argument, nullptr, 0};
      continue;
    }
    ++used;
    if (is_texture_or_sampler(argument.kind)) {
      check_texture(kernel, argument, *binding);
      checked.arguments[checked.argument_count++] = {&argument, binding, 0};
      continue;
    }
    if (buffer) {
      check_buffer(kernel, argument, *binding);
      checked.arguments[checked.argument_count++] = {&argument, binding, 0};
      continue;
    }
    if (binding->length == 0 || binding->length % 16 != 0)
      throw Error(errors::threadgroup_memory_length,
                  place(kernel.name, argument) +
                      ": its length must be a multiple of 16 bytes and not 0, "
                      "but it is " +
                      std::to_string(binding->length));
    if (binding->length > kernel.max_threadgroup_memory)
      throw Error(errors::too_much_threadgroup_memory,
                  place(kernel.name, argument) + ": " + std::to_string(binding->length) +
                      " bytes are more than a threadgroup's " +
                      std::to_string(kernel.max_threadgroup_memory));
    // Offsets are multiples of 16; a type that wants more is placed accordingly.
    memory = (memory + argument.alignment - 1) / argument.alignment * argument.alignment;
    checked.arguments[checked.argument_count++] = {&argument, binding, memory};
    memory += binding->length;
  }
  if (memory > kernel.max_threadgroup_memory)
    throw Error(errors::too_much_threadgroup_memory,
                "kernel '" + kernel.name + "' needs " + std::to_string(memory) +
                    " bytes of threadgroup memory (" +
                    std::to_string(kernel.static_threadgroup_memory) +
                    " of its own and the rest for arguments), but there are " +
                    std::to_string(kernel.max_threadgroup_memory));
  if (used == dispatch.bindings.size())
    return;
  for (const Binding& binding : dispatch.bindings) {
    const bool known = std::any_of(
        kernel.arguments.begin(), kernel.arguments.end(), [&](const Argument& argument) {
          return argument.kind == binding.kind && argument.index == binding.index;
        });
    if (!known) // binding what is inactive is harmless
      throw Error(errors::no_such_argument, "kernel '" + kernel.name + "' has no " +
                                                kind_name(binding.kind) +
                                                std::to_string(binding.index));
  }
}

} // namespace metalwright
