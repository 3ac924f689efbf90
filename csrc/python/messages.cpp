// The texts of what a call can be refused for, in one table: each says what, where and what to do.
#include "python/messages.h"

namespace metalwright::python::messages {

static std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

static std::string signature(const Argument& argument) {
  std::string text;
  if (argument.kind == ArgumentKind::texture || argument.kind == ArgumentKind::sampler)
    return argument.type_name;
  switch (argument.address_space) {
  case AddressSpace::thread:
    text = "thread ";
    break;
  case AddressSpace::device:
    text = argument.access == Access::read ? "device const " : "device ";
    break;
  case AddressSpace::constant:
    text = "constant ";
    break;
  case AddressSpace::threadgroup:
    text = "threadgroup ";
    break;
  }
  return text + argument.type_name + (argument.is_reference ? "&" : "*");
}

std::string to_string(const Place& place) {
  const ArgumentKind kind = place.argument.kind;
  return "kernel " + quoted(place.kernel) + ", argument " + quoted(place.argument.name) + " (" +
         (kind == ArgumentKind::buffer    ? "buffer "
          : kind == ArgumentKind::texture ? "texture "
          : kind == ArgumentKind::sampler ? "sampler "
                                          : "threadgroup memory ") +
         std::to_string(place.argument.index) + ", " + signature(place.argument) + ")";
}

static Error at(const Place& place, const char* code, const std::string& text) {
  return {code, to_string(place) + ": " + text};
}

static Error in(const std::string& kernel, const char* code, const std::string& text) {
  return {code, "kernel " + quoted(kernel) + ": " + text};
}

// ------------------------------------------------------------------------------ tensors

Error wrong_dtype(const Place& place, std::string_view expected, std::string_view got) {
  return at(place, "wrong-dtype",
            "expected " + std::string(expected) + ", got " + std::string(got) +
                "; convert the tensor, or pass check=False to bind its bytes as they are");
}
Error wrong_device(const Place& place, std::string_view tensor_device, std::string_view device) {
  std::string advice = "; move it with .to(...)";
  if (tensor_device == "meta")
    advice = "; a meta tensor has no data";
  else if (tensor_device.starts_with("mps") && device == "cpu")
    advice = "; compile with device=\"metal\", or pass x.cpu()";
  return at(place, "wrong-device",
            "the tensor is on " + quoted(tensor_device) + ", the kernel was compiled for " +
                quoted(device) + advice);
}
Error tensor_without_data(const Place& place, std::string_view reason) {
  return at(place, "tensor-without-data",
            "the tensor has no memory of its own to bind (fake, sparse or functional): " +
                std::string(reason));
}
Error lazy_tensor(const Place& place, std::string_view state, std::string_view method) {
  return at(place, "lazy-tensor",
            "the tensor is a lazily " + std::string(state) +
                " view, its memory holds other values; pass x." + std::string(method) + "()");
}
Error empty_tensor(const Place& place) {
  return at(place, "empty-tensor", "the tensor has no elements, so there is nothing to bind");
}
Error too_short(const Place& place, std::uint64_t bytes, std::uint64_t needed) {
  return at(place, "buffer-too-short",
            "needs at least " + std::to_string(needed) + " bytes (one " + place.argument.type_name +
                "), got " + std::to_string(bytes));
}
Error not_whole_elements(const Place& place, std::uint64_t bytes) {
  return at(place, "not-whole-elements",
            std::to_string(bytes) + " bytes are not a whole number of " + place.argument.type_name +
                " (" + std::to_string(place.argument.size) + " bytes each)");
}
Error misaligned(const Place& place, std::uint64_t position) {
  return at(place, "misaligned-pointer",
            "the memory starts " + std::to_string(position % place.argument.alignment) +
                " bytes past a multiple of " + std::to_string(place.argument.alignment) +
                ", the alignment of " + place.argument.type_name + "; pass a copy (x.clone())");
}
Error read_only(const Place& place) {
  return at(place, "read-only",
            "the array is read-only and the kernel may write through this argument; pass a copy, "
            "or make the "
            "argument `const` if the kernel only reads it");
}
Error negative_stride(const Place& place) {
  return at(place, "negative-stride",
            "the array runs backwards in memory (a negative stride); pass a contiguous copy");
}
Error odd_stride(const Place& place) {
  return at(place, "odd-stride",
            "a stride of the array is no multiple of its elements' size; pass "
            "a contiguous copy");
}
Error not_a_tensor(const Place& place, std::string_view python_type) {
  return at(place, "not-bindable",
            "it is a tensor, and an object of type " + quoted(python_type) +
                " has no shape; pass a torch tensor or a NumPy array");
}
Error wrong_rank(const Place& place, std::size_t expected, std::size_t given) {
  return at(place, "wrong-rank",
            "the kernel takes a tensor of " + std::to_string(expected) +
                " dimensions, and this one has " + std::to_string(given));
}
Error not_bindable(const Place& place, std::string_view python_type) {
  return at(place, "not-bindable",
            "cannot bind an object of type " + quoted(python_type) +
                "; pass a tensor, a NumPy array, a number, a tuple or list of numbers, or bytes");
}
Error not_a_texture(const Place& place, std::string_view python_type) {
  return at(place, "not-bindable",
            "cannot bind an object of type " + quoted(python_type) + "; pass a metalwright." +
                (place.argument.kind == ArgumentKind::texture ? "Texture" : "Sampler"));
}
Error wrong_texture(const Place& place, std::string_view reason) {
  return at(place, "wrong-texture", "it " + std::string(reason));
}
Error no_buffer(const Place& place, std::string_view reason) {
  return at(place, "not-bindable",
            "the object does not give access to its memory: " + std::string(reason));
}

// ------------------------------------------------------------------------------ numbers

Error number_for_device_pointer(const Place& place) {
  return at(place, "number-for-pointer",
            "a number cannot be bound to device memory; pass a tensor, or declare the argument "
            "`constant " +
                place.argument.type_name + "&`");
}
Error number_for_struct(const Place& place) {
  return at(place, "number-for-struct",
            "numbers have no layout for this type; pass its " +
                std::to_string(place.argument.size) +
                " bytes (struct.pack, a NumPy record or a tensor)");
}
Error wrong_number_type(const Place& place, std::string_view got) {
  return at(place, "wrong-number-type",
            "expected a number that fits " + place.argument.type_name + ", got " +
                std::string(got));
}
Error out_of_range(const Place& place, std::string_view value) {
  return at(place, "out-of-range",
            std::string(value) + " does not fit into " + place.argument.type_name);
}
Error wrong_count(const Place& place, std::size_t expected, std::size_t got, bool multiple) {
  return at(place, "wrong-count",
            "expected " + std::string(multiple ? "a multiple of " : "") + std::to_string(expected) +
                (expected == 1 ? " number" : " numbers") + ", got " + std::to_string(got));
}
Error too_long_inline(const Place& place, std::uint64_t bytes, std::uint64_t limit) {
  return at(place, "inline-data-too-long",
            std::to_string(bytes) + " bytes given by value, at most " + std::to_string(limit) +
                " are possible; pass a tensor");
}
Error unknown_cast(const Place& place, std::string_view cast) {
  return at(place, "unknown-cast",
            "arg_casts asks for " + quoted(cast) +
                "; known are fp16, bf16, fp32, int8, int16, int32, int64, uint8");
}

// ------------------------------------------------------------------------------ the call

Error too_many_handles(const std::string& kernel, bool textures) {
  return in(kernel, "too-many-arguments",
            std::string("more ") + (textures ? "textures" : "samplers") +
                " are given than the kernel takes");
}
Error missing_argument(const Place& place) {
  return at(place, "missing-argument", "nothing is bound to it; pass it by position or by name");
}
Error missing_threadgroup_memory(const Place& place) {
  return at(place, "missing-threadgroup-memory",
            "its size is not known; pass threadgroup_memory={" +
                std::to_string(place.argument.index) + ": bytes}");
}
Error bound_twice(const Place& place) {
  return at(place, "bound-twice", "given by position and by name");
}
Error inactive_argument(const Place& place) {
  return at(
      place, "inactive-argument",
      "its function constant switches it off in this specialisation; leave it out or pass None");
}
Error too_many_arguments(const std::string& kernel, std::size_t expected, std::size_t got) {
  return in(kernel, "too-many-arguments",
            "takes " + std::to_string(expected) + (expected == 1 ? " buffer" : " buffers") +
                ", got " + std::to_string(got) + " positional arguments");
}
Error unknown_keyword(const std::string& kernel, std::string_view name, std::string_view known) {
  return in(kernel, "no-such-argument",
            "has no argument " + quoted(name) + "; its arguments are: " + std::string(known));
}
Error unknown_threadgroup_index(const std::string& kernel, unsigned long long index) {
  return in(kernel, "no-such-argument",
            "threadgroup_memory names index " + std::to_string(index) +
                ", but the kernel has no [[threadgroup(" + std::to_string(index) + ")]] argument");
}
Error no_threads(const std::string& kernel) {
  return in(kernel, "no-threads",
            "how many threads run is not known; pass threads= (or threadgroups= with group_size=)");
}
Error threads_and_threadgroups(const std::string& kernel) {
  return in(kernel, "threads-and-threadgroups", "pass threads= or threadgroups=, not both");
}
Error threadgroups_without_group_size(const std::string& kernel) {
  return in(kernel, "missing-group-size",
            "threadgroups= needs group_size=, the threads in each of them");
}
Error bad_size(const std::string& kernel, std::string_view keyword, std::string_view reason) {
  return in(kernel, "bad-size", std::string(keyword) + "= " + std::string(reason));
}
Error different_dimensions(const std::string& kernel, std::size_t threads, std::size_t group_size) {
  return in(kernel, "bad-size",
            "threads= has " + std::to_string(threads) + " dimensions and group_size= " +
                std::to_string(group_size) + "; give both the same number");
}
Error bad_deadline(const std::string& kernel) {
  return in(kernel, "bad-deadline", "deadline= is a positive number of seconds");
}

Error no_error_report_in_stream(const Place& place) {
  return at(place, "in-stream-error-report",
            "errors that a kernel reports are read when it has ended, which an in-stream dispatch "
            "does not wait for; call it outside of stream_order(\"in-stream\")");
}
std::string aliasing(const std::string& kernel, const Argument& one, const Argument& other) {
  return "kernel " + quoted(kernel) + ": the same memory is bound to " + quoted(one.name) +
         " (buffer " + std::to_string(one.index) + ") and " + quoted(other.name) + " (buffer " +
         std::to_string(other.index) +
         "), and the kernel writes through one of them. Metal compiles kernels as if their buffers "
         "did not overlap, so what is read may be old or new; pass a copy, or declare one argument "
         "for both. (Said once per kernel.)";
}

// ------------------------------------------------------------------------------ devices

Error no_such_device(std::string_view name, std::string_view present) {
  return {"no-such-device", "no device " + quoted(name) + " here; present: " +
                                (present.empty() ? "none" : std::string(present))};
}
Error device_exists(std::string_view kind) {
  return {"device-exists", "this build of metalwright has a device " + quoted(kind) +
                               " of its own, and no other module can replace it"};
}
Error not_a_device_capsule(std::string_view name) {
  return {"not-a-device", "register_device() takes a capsule named " + quoted(name) +
                              "; build the module that makes it from the same sources"};
}
Error not_a_metal_device(std::string_view name) {
  return {"not-a-metal-device", "the device " + quoted(name) +
                                    " is not a Metal device: it has no GPU traces, counter "
                                    "samples or pipeline archive"};
}
Error wrong_byte_count(std::uint64_t got, std::uint64_t length) {
  return {"wrong-byte-count",
          std::to_string(got) + " bytes for a buffer of " + std::to_string(length)};
}
Error bad_shape(long long size) {
  return {"bad-shape",
          size <= 0 ? "a dimension is at least 1, not " + std::to_string(size) +
                          ": a buffer of no bytes cannot be bound"
                    : "more bytes than can be counted with a dimension of " + std::to_string(size)};
}
Error bad_option(std::string_view option, std::string_view value, std::string_view allowed) {
  return {"bad-option",
          std::string(option) + "=" + quoted(value) + ": expected " + std::string(allowed)};
}

} // namespace metalwright::python::messages
