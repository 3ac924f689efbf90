// The codes of the errors that a user can cause through the native code, in one table. They are
// part of the interface: programs compare them, so a code never changes its meaning.
#pragma once

namespace metalwright::errors {

// AIR and function constants
inline constexpr const char* invalid_air = "invalid-air"; // the module is not AIR we can read
inline constexpr const char* invalid_metallib = "invalid-metallib"; // the container around AIR
inline constexpr const char* no_such_file = "no-such-file";
inline constexpr const char* no_such_kernel = "no-such-kernel";
inline constexpr const char* no_such_function_constant = "no-such-function-constant";
inline constexpr const char* missing_function_constant = "missing-function-constant";
inline constexpr const char* wrong_function_constant_type = "wrong-function-constant-type";
inline constexpr const char* unsupported_intrinsic =
    "unsupported-intrinsic"; // an air.* we do not know
inline constexpr const char* unsupported_built_in = "unsupported-built-in";   // a kernel argument
inline constexpr const char* unsupported_recursion = "unsupported-recursion"; // around a barrier
inline constexpr const char* code_generation = "code-generation-failed";
inline constexpr const char* unknown_engine = "unknown-engine"; // METALWRIGHT_CPU_ENGINE
inline constexpr const char* no_such_stage = "no-such-stage";   // Kernel::code("...")

inline constexpr const char* not_supported = "not-supported"; // by this device

// Refused before anything runs
inline constexpr const char* empty_dispatch = "empty-dispatch";     // a size of zero
inline constexpr const char* grid_too_large = "grid-too-large";     // over 2^32 - 1 in a dimension
inline constexpr const char* too_many_threads = "too-many-threads"; // per threadgroup
inline constexpr const char* no_such_argument = "no-such-argument";
inline constexpr const char* missing_argument = "missing-argument";
inline constexpr const char* duplicate_argument = "duplicate-argument";
inline constexpr const char* null_pointer = "null-pointer";
inline constexpr const char* misaligned_pointer = "misaligned-pointer";
inline constexpr const char* foreign_memory = "foreign-memory";     // the device cannot reach it
inline constexpr const char* value_is_written = "value-is-written"; // by the kernel
inline constexpr const char* value_too_long = "value-too-long";     // for setBytes
inline constexpr const char* buffer_too_short = "buffer-too-short";
inline constexpr const char* threadgroup_memory_length = "threadgroup-memory-length"; // 0, not 16 n
inline constexpr const char* too_much_threadgroup_memory = "too-much-threadgroup-memory";
inline constexpr const char* wrong_texture = "wrong-texture"; // its kind or its pixel format
inline constexpr const char* out_of_memory = "out-of-memory"; // the host's, for stacks and code

// During a run (DispatchError)
inline constexpr const char* deadline_exceeded = "deadline-exceeded";
inline constexpr const char* interrupted = "interrupted";
inline constexpr const char* invalid_memory_access = "invalid-memory-access";
inline constexpr const char* divergent_barrier = "divergent-barrier";
inline constexpr const char* kernel_trap = "kernel-trap"; // an illegal or trapping instruction

// Of a GPU: what became of a command buffer (DispatchError)
inline constexpr const char* gpu_timeout = "gpu-timeout"; // stopped by the system
inline constexpr const char* impacting_interactivity = "impacting-interactivity";
inline constexpr const char* gpu_page_fault = "gpu-page-fault";
inline constexpr const char* gpu_out_of_memory = "gpu-out-of-memory";
inline constexpr const char* gpu_stack_overflow = "gpu-stack-overflow";
inline constexpr const char* gpu_access_revoked = "gpu-access-revoked";
inline constexpr const char* device_lost = "device-lost";
inline constexpr const char* gpu_error = "gpu-error"; // any other; the text is the framework's
inline constexpr const char* gpu_hang = "gpu-hang";   // no end within the device's own bound
inline constexpr const char* gpu_busy = "gpu-busy";   // an abandoned dispatch has not ended yet

// Of the Metal framework
inline constexpr const char* metal_exception = "metal-exception"; // it raised an NSException
inline constexpr const char* bad_text = "bad-text";               // not UTF-8
inline constexpr const char* unsupported_language_version = "unsupported-language-version";
inline constexpr const char* unsupported_argument = "unsupported-argument"; // a texture, ...
inline constexpr const char* include_depth = "include-depth"; // files that include each other
inline constexpr const char* in_stream_host_memory = "in-stream-host-memory";
inline constexpr const char* no_torch_stream = "no-torch-stream";
inline constexpr const char* torch_error = "torch-error"; // a function of torch's failed
inline constexpr const char* no_gpu_time = "no-gpu-time";
inline constexpr const char* capture_not_enabled = "capture-not-enabled";
inline constexpr const char* capture_path = "capture-path";
inline constexpr const char* capture_active = "capture-active";
inline constexpr const char* capture_failed = "capture-failed";
inline constexpr const char* no_capture = "no-capture";
inline constexpr const char* archive_folder = "archive-folder";

} // namespace metalwright::errors
