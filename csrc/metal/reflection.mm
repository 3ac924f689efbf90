// The arguments of a kernel, from Metal's reflection and the source.
#include "metal/data_types.h"
#include "metal/pipeline.h"

#include <algorithm>

namespace metalwright::metal {

namespace {

Access access_of(id<MTLBinding> binding) {
  switch (static_cast<NSUInteger>([binding access])) {
  case 0:
    return Access::read;
  case 2:
    return Access::write;
  default:
    return Access::read_write;
  }
}

void complete(Argument& argument, const std::optional<Parameter>& parameter) {
  if (!parameter)
    return;
  argument.is_reference = parameter->is_reference;
  // What is written cannot be constant: then the source is about something else of that name.
  const bool fits = argument.kind == ArgumentKind::threadgroup_memory
                        ? parameter->address_space == AddressSpace::threadgroup
                        : parameter->address_space == AddressSpace::device ||
                              (parameter->address_space == AddressSpace::constant &&
                               argument.access == Access::read);
  if (fits)
    argument.address_space = parameter->address_space;
  if (argument.type_name.empty())
    argument.type_name = parameter->type_name;
}

Argument read_buffer(id<MTLBufferBinding> binding, const std::optional<Parameter>& parameter) {
  Argument argument;
  argument.kind = ArgumentKind::buffer;
  argument.access = access_of(binding);
  argument.address_space =
      argument.access == Access::read ? AddressSpace::constant : AddressSpace::device;
  argument.size = [binding bufferDataSize];
  argument.alignment = std::max<std::uint64_t>(1, [binding bufferAlignment]);
  argument.type_name = data_type_name([binding bufferDataType]);
  // A packed vector of three reports the data type of the plain one.
  if (!argument.type_name.empty() && argument.type_name.back() == '3' &&
      argument.type_name.find('x') == std::string::npos && argument.size % 3 == 0)
    argument.type_name.insert(0, "packed_");
  complete(argument, parameter);
  if (argument.type_name.empty())
    argument.type_name = "struct";
  return argument;
}

Argument read_threadgroup(id<MTLThreadgroupBinding> binding,
                          const std::optional<Parameter>& parameter) {
  Argument argument;
  argument.kind = ArgumentKind::threadgroup_memory;
  argument.address_space = AddressSpace::threadgroup;
  argument.access = access_of(binding);
  argument.size = [binding threadgroupMemoryDataSize];
  argument.alignment = std::max<std::uint64_t>(1, [binding threadgroupMemoryAlignment]);
  complete(argument, parameter);
  if (argument.type_name.empty())
    argument.type_name = "threadgroup memory";
  return argument;
}

// Arguments that a function constant switches off are not in the reflection. They are still
// arguments of the kernel: one may be named, or passed as None, and nothing happens.
void add_inactive(std::vector<Argument>& arguments,
                  const std::vector<DeclaredParameter>& declared) {
  const auto taken = [&](unsigned index) {
    return std::ranges::any_of(arguments, [&](const Argument& argument) {
      return argument.kind == ArgumentKind::buffer && argument.index == index;
    });
  };
  unsigned next = 0; // the index that the next buffer without one would get
  for (const DeclaredParameter& parameter : declared) {
    if (parameter.parameter.address_space == AddressSpace::threadgroup)
      continue;
    const auto found = std::ranges::find(arguments, parameter.name, &Argument::name);
    if (found == arguments.end() && parameter.is_conditional) {
      Argument argument;
      argument.index = parameter.buffer.value_or(next);
      argument.name = parameter.name;
      argument.address_space = parameter.parameter.address_space;
      argument.access = Access::read;
      argument.type_name = parameter.parameter.type_name;
      argument.alignment = 1;
      argument.is_reference = parameter.parameter.is_reference;
      argument.is_used = argument.is_active = false;
      if (taken(argument.index)) // not what the source looks like: say nothing
        continue;
      next = argument.index + 1;
      arguments.push_back(std::move(argument));
    } else if (found != arguments.end()) {
      next = found->index + 1;
    }
  }
}

} // namespace

std::vector<Argument> read_arguments(const std::string& kernel,
                                     MTLComputePipelineReflection* reflection,
                                     const Signatures& signatures) {
  std::vector<Argument> arguments;
  for (id<MTLBinding> binding in [reflection bindings]) {
    const std::string name = from_objc([binding name]);
    const auto parameter = signatures.find(kernel, name);
    Argument argument;
    switch ([binding type]) {
    case MTLBindingTypeBuffer:
      argument = read_buffer((id<MTLBufferBinding>)binding, parameter);
      break;
    case MTLBindingTypeThreadgroupMemory:
      // Threadgroup variables of the kernel itself may be listed as well: nothing is bound to them.
      if (![binding isArgument])
        continue;
      argument = read_threadgroup((id<MTLThreadgroupBinding>)binding, parameter);
      break;
    default:
      throw Error(errors::unsupported_argument,
                  "kernel '" + kernel + "', argument '" + name +
                      "': textures, samplers, tensors and tables are not supported; use buffers");
    }
    argument.name = name;
    argument.index = static_cast<unsigned>([binding index]);
    argument.is_used = [binding isUsed];
    arguments.push_back(std::move(argument));
  }
  if (const auto* const declared = signatures.list(kernel))
    add_inactive(arguments, *declared);
  std::ranges::sort(arguments, [](const Argument& a, const Argument& b) {
    return std::pair(a.kind, a.index) < std::pair(b.kind, b.index);
  });
  return arguments;
}

} // namespace metalwright::metal
