// The bindings of one dispatch as Metal takes them.
#include "metal/arguments.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace metalwright::metal {

namespace {

// Apple silicon's page, and a multiple of every other in use.
constexpr std::uint64_t kPage = 16384;
// Apple GPUs read the constant address space at multiples of 4 bytes only; a bfloat slice x[1:]
// starts at 2.
constexpr std::uint64_t kConstantAlignment = 4;
// Addresses keep their remainder by this when memory is copied, so every type's alignment holds.
constexpr std::uintptr_t kKeptAlignment = 256;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool aligned_for(const Argument& argument, std::uint64_t offset) {
  return argument.address_space != AddressSpace::constant || offset % kConstantAlignment == 0;
}

bool is_written(const CheckedArgument& argument) {
  return argument.argument->access != Access::read;
}

} // namespace

BoundArguments::BoundArguments(id<MTLDevice> device, const Allocations& allocations,
                               const std::string& kernel, const CheckedDispatch& checked,
                               DispatchOrder order, std::uint64_t max_inline) {
  std::vector<Staged> staged;
  for (unsigned slot = 0; slot < checked.argument_count; ++slot) {
    const CheckedArgument& argument = checked.arguments[slot];
    if (!argument.binding)
      continue;
    const Binding& binding = *argument.binding;
    if (argument.argument->kind == ArgumentKind::threadgroup_memory) {
      threadgroup_memory_.push_back({binding.index, binding.length});
    } else if (binding.memory == BindingMemory::value &&
               binding.length != 0) { // setBytes takes no 0
      bytes_.push_back({binding.index, binding.pointer, binding.length});
    } else if (binding.memory == BindingMemory::resource) {
      bind_resource(device, kernel, argument);
    } else if (!bind_in_place(device, allocations, argument, order)) {
      if (order == DispatchOrder::in_stream && is_written(argument))
        throw Error(errors::in_stream_host_memory,
                    place(kernel, *argument.argument) +
                        ": the kernel writes it after the call has returned, so it cannot be "
                        "memory of the host; bind an mps tensor, or memory that "
                        "metalwright.empty() made");
      const auto begin = reinterpret_cast<std::uintptr_t>(binding.pointer) + binding.offset;
      staged.push_back({&argument, begin, begin + binding.length});
    }
  }
  if (!staged.empty()) {
    const double start = now();
    stage(device, std::move(staged), max_inline);
    copy_seconds_ = now() - start;
  }
}

void BoundArguments::bind_resource(id<MTLDevice> device, const std::string& kernel,
                                   const CheckedArgument& argument) {
  const Binding& binding = *argument.binding;
  // Not retained: torch's allocator takes a buffer that somebody else retains for one in flight.
  __unsafe_unretained id<MTLBuffer> const buffer = (__bridge id<MTLBuffer>)binding.pointer;
  const std::string where = place(kernel, *argument.argument);
  if ([[buffer device] registryID] != [device registryID])
    throw Error(errors::foreign_memory, where + ": it is memory of the device '" +
                                            from_objc([[buffer device] name]) +
                                            "', which this one cannot reach");
  const std::uint64_t length = [buffer length];
  if (binding.offset > length || binding.length > length - binding.offset)
    throw Error(errors::buffer_too_short,
                where + ": " + std::to_string(binding.length) + " bytes from offset " +
                    std::to_string(binding.offset) + " are bound, but its buffer has " +
                    std::to_string(length));
  if (!aligned_for(*argument.argument, binding.offset))
    throw Error(errors::misaligned_pointer,
                where + ": it begins " + std::to_string(binding.offset) +
                    " bytes into its buffer, and a GPU reads the constant address space at "
                    "multiples of " +
                    std::to_string(kConstantAlignment) +
                    " bytes only; bind a copy (clone()), or declare the argument const device");
  buffers_.push_back({binding.index, {}, binding.pointer, binding.offset});
}

bool BoundArguments::bind_in_place(id<MTLDevice> device, const Allocations& allocations,
                                   const CheckedArgument& argument, DispatchOrder order) {
  const Binding& binding = *argument.binding;
  void* const address = static_cast<unsigned char*>(binding.pointer) + binding.offset;
  if (auto found = allocations.find(address, binding.length)) {
    if (!aligned_for(*argument.argument, found->offset))
      return false;
    buffers_.push_back({binding.index, std::move(found->buffer), nullptr, found->offset});
    return true;
  }
  // Whole pages of the host can be a buffer as they are, but only while somebody waits: the caller
  // may free them.
  if (order == DispatchOrder::in_stream || binding.length == 0 || binding.length % kPage != 0 ||
      reinterpret_cast<std::uintptr_t>(address) % kPage != 0 ||
      binding.length > [device maxBufferLength])
    return false;
  auto buffer = Owned<id<MTLBuffer>>::adopt([device
      newBufferWithBytesNoCopy:address
                        length:static_cast<NSUInteger>(binding.length)
                       options:MTLResourceStorageModeShared
                   deallocator:nil]);
  if (!buffer) // memory that cannot be mapped, such as a read-only file
    return false;
  buffers_.push_back({binding.index, std::move(buffer), nullptr, 0});
  return true;
}

void BoundArguments::stage(id<MTLDevice> device, std::vector<Staged> staged,
                           std::uint64_t max_inline) {
  std::ranges::sort(staged, {}, &Staged::begin);
  for (std::size_t i = 0; i < staged.size();) {
    // Ranges that overlap go into one buffer: what one argument writes, another reads.
    std::size_t next = i + 1;
    std::uintptr_t end = staged[i].end;
    for (; next < staged.size() && staged[next].begin < end; ++next)
      end = std::max(end, staged[next].end);
    const std::uintptr_t begin = staged[i].begin;
    const bool alone = next == i + 1;
    const bool shiftable = alone && !is_written(*staged[i].argument);
    if (shiftable && end - begin <= max_inline && end > begin) {
      bytes_.push_back(
          {staged[i].argument->binding->index, reinterpret_cast<const void*>(begin), end - begin});
      copied_bytes_ += end - begin;
      i = next;
      continue;
    }
    const std::uintptr_t lead = shiftable ? 0 : begin % kKeptAlignment;
    auto buffer = make_buffer(device, lead + (end - begin));
    auto* const contents = static_cast<unsigned char*>([buffer.get() contents]);
    std::memcpy(contents + lead, reinterpret_cast<const void*>(begin), end - begin);
    copied_bytes_ += end - begin;
    for (; i < next; ++i) {
      const CheckedArgument& argument = *staged[i].argument;
      const std::uint64_t offset = lead + (staged[i].begin - begin);
      const std::uint64_t length = staged[i].end - staged[i].begin;
      if (aligned_for(*argument.argument, offset)) {
        buffers_.push_back({argument.binding->index, buffer, nullptr, offset});
      } else { // constant memory, so it is only read
        auto own = make_buffer(device, length);
        std::memcpy([own.get() contents], reinterpret_cast<const void*>(staged[i].begin), length);
        copied_bytes_ += length;
        buffers_.push_back({argument.binding->index, std::move(own), nullptr, 0});
      }
      if (is_written(argument) && length != 0)
        copies_back_.push_back({reinterpret_cast<void*>(staged[i].begin), buffer, offset, length});
    }
  }
}

void BoundArguments::set(id<MTLComputeCommandEncoder> encoder) const {
  for (const BoundBuffer& bound : buffers_) {
    __unsafe_unretained id<MTLBuffer> buffer = bound.owned.get();
    if (bound.foreign)
      buffer = (__bridge id<MTLBuffer>)bound.foreign;
    [encoder setBuffer:buffer offset:static_cast<NSUInteger>(bound.offset) atIndex:bound.index];
  }
  for (const Bytes& bytes : bytes_)
    [encoder setBytes:bytes.pointer
               length:static_cast<NSUInteger>(bytes.length)
              atIndex:bytes.index];
  for (const ThreadgroupMemory& memory : threadgroup_memory_)
    [encoder setThreadgroupMemoryLength:static_cast<NSUInteger>(memory.length)
                                atIndex:memory.index];
}

void BoundArguments::copy_back() {
  if (copies_back_.empty())
    return;
  const double start = now();
  for (const CopyBack& copy : copies_back_) {
    std::memcpy(copy.to,
                static_cast<const unsigned char*>([copy.buffer.get() contents]) + copy.offset,
                copy.length);
    copied_bytes_ += copy.length;
  }
  copy_seconds_ += now() - start;
}

} // namespace metalwright::metal
