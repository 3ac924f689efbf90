// The texts of what a call can be refused for, in one table: each says what, where and what to do.
#pragma once

#include "device.h"

#include <string>
#include <string_view>

namespace metalwright::python::messages {

// "kernel 'add', argument 'x' (buffer 0, device const float*)"
struct Place {
  const std::string& kernel;
  const Argument& argument;
};
std::string to_string(const Place& place);

// ------------------------------------------------------------------------------ tensors
Error wrong_dtype(const Place& place, std::string_view expected, std::string_view got);
Error wrong_device(const Place& place, std::string_view tensor_device, std::string_view device);
Error tensor_without_data(const Place& place, std::string_view reason);
Error lazy_tensor(const Place& place, std::string_view state, std::string_view method);
Error empty_tensor(const Place& place);
Error too_short(const Place& place, std::uint64_t bytes, std::uint64_t needed);
Error not_whole_elements(const Place& place, std::uint64_t bytes);
// `position`: the host address, or the byte offset in a resource.
Error misaligned(const Place& place, std::uint64_t position);
Error read_only(const Place& place);
Error negative_stride(const Place& place);
Error not_bindable(const Place& place, std::string_view python_type);
Error odd_stride(const Place& place);
Error not_a_tensor(const Place& place, std::string_view python_type);
Error wrong_rank(const Place& place, std::size_t expected, std::size_t given);
Error not_a_texture(const Place& place, std::string_view python_type);
Error wrong_texture(const Place& place, std::string_view reason);
Error no_buffer(const Place& place, std::string_view reason);

// ------------------------------------------------------------------------------ numbers
Error number_for_device_pointer(const Place& place);
Error number_for_struct(const Place& place);
Error wrong_number_type(const Place& place, std::string_view got);
Error out_of_range(const Place& place, std::string_view value);
Error wrong_count(const Place& place, std::size_t expected, std::size_t got, bool multiple);
Error too_long_inline(const Place& place, std::uint64_t bytes, std::uint64_t limit);
Error unknown_cast(const Place& place, std::string_view cast);

// ------------------------------------------------------------------------------ the call
Error too_many_handles(const std::string& kernel, bool textures);
Error missing_argument(const Place& place);
Error missing_threadgroup_memory(const Place& place);
Error bound_twice(const Place& place);
Error inactive_argument(const Place& place);
Error too_many_arguments(const std::string& kernel, std::size_t expected, std::size_t got);
Error unknown_keyword(const std::string& kernel, std::string_view name, std::string_view known);
Error unknown_threadgroup_index(const std::string& kernel, unsigned long long index);
Error no_threads(const std::string& kernel);
Error threads_and_threadgroups(const std::string& kernel);
Error threadgroups_without_group_size(const std::string& kernel);
Error bad_size(const std::string& kernel, std::string_view keyword, std::string_view reason);
Error different_dimensions(const std::string& kernel, std::size_t threads, std::size_t group_size);
Error bad_deadline(const std::string& kernel);
Error no_error_report_in_stream(const Place& place);
std::string aliasing(const std::string& kernel, const Argument& one, const Argument& other);

// ------------------------------------------------------------------------------ devices
Error no_such_device(std::string_view name, std::string_view present);
Error device_exists(std::string_view kind);
Error not_a_device_capsule(std::string_view name);
Error not_a_metal_device(std::string_view name);
Error wrong_byte_count(std::uint64_t got, std::uint64_t length);
Error bad_shape(long long size);
Error bad_option(std::string_view option, std::string_view value, std::string_view allowed);

} // namespace metalwright::python::messages
