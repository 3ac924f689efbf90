// The vocabulary that every device shares: what a library, a kernel, an argument, a dispatch and a
// timing are. Plain data and abstract classes; no LLVM, no Python, no Metal in this header.
#pragma once

#include "findings.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace metalwright {

// ---------------------------------------------------------------------------------- diagnostics

enum class Severity { note, warning, error };

// One message of a compiler. Lines and columns count from 1; 0 means "no place in a file".
struct Diagnostic {
  Severity severity = Severity::error;
  std::string file;
  unsigned line = 0;
  unsigned column = 0;
  std::string message;
  std::string source_line; // the text of that line, without its line break
  std::string caret;       // the line printed below it: spaces, `~` for ranges and `^`
};

// Prints as Apple's compiler does: `program_source:3:5: error: ...`, the source line, the caret
// line.
std::string to_string(const Diagnostic& diagnostic);
std::string to_string(std::span<const Diagnostic> diagnostics);

// ---------------------------------------------------------------------------------- errors

// A mistake of the user (wrong argument, limit exceeded, no such kernel), never of this program.
// `code` is stable and part of the interface ("no-such-kernel", "too-many-threads", ...).
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message)
      : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const noexcept { return code_; }

 private:
  std::string code_;
};

// The source did not compile. what() is the printed form of all diagnostics.
class CompileError : public Error {
 public:
  explicit CompileError(std::vector<Diagnostic> diagnostics);
  const std::vector<Diagnostic>& diagnostics() const noexcept { return diagnostics_; }

 private:
  std::vector<Diagnostic> diagnostics_;
};

// A dispatch that started and did not end well: deadline passed, invalid memory access, divergent
// barrier. Codes: "deadline-exceeded", "invalid-memory-access", "divergent-barrier", "interrupted",
// and what became of a command buffer on a GPU: "gpu-timeout", "gpu-page-fault", ... (errors.h).
class DispatchError : public Error {
 public:
  using Error::Error;
};

// ---------------------------------------------------------------------------------- compiling

enum class MathMode { safe, relaxed, fast };
// Which variant `exp(x)` and its like mean when neither metal::precise nor metal::fast is named.
enum class MathFunctions { precise, fast };

struct CompileOptions {
  MathMode math_mode = MathMode::safe;
  // Unset: precise for MathMode::safe, fast otherwise.
  std::optional<MathFunctions> math_functions;
  // (major << 16) + minor, as MTLLanguageVersion: 2.4 to 4.0.
  std::uint32_t language_version = (3u << 16) + 2;
  // Preprocessor macros, in the order in which they are defined: name and replacement.
  std::vector<std::pair<std::string, std::string>> macros;
  // Folders searched for #include <...> and #include "..." after the standard library's own names.
  std::vector<std::string> include_paths;
  // The name in diagnostics.
  std::string file_name = "program_source";
  // Compile for the sanitiser: slow code that watches itself (findings.h). Only the cpu device can.
  bool check = false;
  bool operator==(const CompileOptions&) const = default;
};

// ---------------------------------------------------------------------------------- reflection

enum class AddressSpace : std::uint8_t { thread = 0, device = 1, constant = 2, threadgroup = 3 };
enum class Access : std::uint8_t { read, write, read_write };
enum class ArgumentKind : std::uint8_t { buffer, threadgroup_memory, texture, sampler };

// A member of the structure behind an argument buffer ([[id(n)]]): memory, or a value.
struct ArgumentMember {
  unsigned id = 0;
  std::string name;
  bool is_pointer = false; // of memory that is bound; else a value in the structure itself
  AddressSpace address_space = AddressSpace::device; // of what it points to
  Access access = Access::read_write;
  std::string type_name;    // of what it points to, or of the value
  std::uint64_t offset = 0; // in the structure, in bytes
  std::uint64_t size = 0;   // of the value, or of what it points to
};

// One bindable argument of a kernel. Indices count separately for each kind.
struct Argument {
  ArgumentKind kind = ArgumentKind::buffer;
  unsigned index = 0;
  std::string name;
  AddressSpace address_space = AddressSpace::device;
  Access access = Access::read_write;
  std::string type_name;       // of the pointee: "float", "half4", a struct's name
  std::uint64_t size = 0;      // of the pointee type, in bytes
  std::uint64_t alignment = 0; // of the pointee type, in bytes
  bool is_reference = false; // `constant Params& p`: exactly one element, so the size is a minimum
  bool is_used = true;
  bool is_active = true;               // false: switched off by [[function_constant(...)]]
  std::vector<ArgumentMember> members; // of an argument buffer; empty for plain memory
};

struct FunctionConstant {
  unsigned index = 0;
  std::string name;
  std::string type_name; // "bool", "int", "float", "uint4", ...
  bool required = true;  // false: only ever asked about with is_function_constant_defined
};

// The value of a function constant: the raw bytes of its type (bool 1 byte, int 4, float4 16, ...).
// Numbers from Python are converted to the constant's own type when they are bound.
using ConstantNumber = std::variant<bool, std::int64_t, double>;
struct ConstantValue {
  std::vector<ConstantNumber> elements; // one for a scalar, n for a vector of n
};
// Keyed by index as decimal digits or by name.
using ConstantValues = std::map<std::string, ConstantValue>;

// ---------------------------------------------------------------------------------- dispatching

struct Size3 {
  std::uint64_t x = 1, y = 1, z = 1;
  bool operator==(const Size3&) const = default;
  std::uint64_t product() const { return x * y * z; }
};

// What Binding::pointer is.
enum class BindingMemory : std::uint8_t {
  // An address of the host. A device that cannot reach it where it lies copies it in and, if the
  // kernel writes it, back; Timing::copied_bytes says so. Memory of Device::allocate() is never
  // copied.
  host,
  // An address of the host whose bytes are the argument's value, at most
  // DeviceInfo::max_inline_bytes: read when the dispatch is encoded, never written (setBytes).
  value,
  // The device's own handle of a buffer that somebody else made (an id<MTLBuffer> of torch's).
  resource,
};

// What is bound to one argument. For threadgroup memory only `length` is used; for a texture or a
// sampler `pointer` is a Texture or a Sampler (textures.h).
struct Binding {
  ArgumentKind kind = ArgumentKind::buffer;
  unsigned index = 0;
  void* pointer = nullptr;
  std::uint64_t length = 0; // bytes reachable from pointer + offset, or bytes of threadgroup memory
  BindingMemory memory = BindingMemory::host;
  std::uint64_t offset = 0; // bytes from the beginning of a resource; 0 for the other two
};

// How a dispatch meets the work that torch has queued on the same device.
enum class DispatchOrder : std::uint8_t {
  // On a queue of its own, after everything torch has queued is finished; dispatch() waits for the
  // end. For evaluation and timing.
  isolated,
  // In torch's own stream, between what was queued before and what comes after; dispatch() returns
  // once it is encoded, and there is no time to report. For use inside a model. A device that runs
  // what it is given at once (cpu) keeps this order by nature.
  in_stream,
};

struct Dispatch {
  // dispatchThreads: `grid` counts threads and may be ragged. dispatchThreadgroups: it counts
  // threadgroups.
  bool grid_is_threads = true;
  Size3 grid;
  Size3 threads_per_threadgroup;
  std::vector<Binding> bindings;
  // How many times in a row the kernel runs (for timing); each run sees the memory the one before
  // left.
  unsigned repeats = 1;
  DispatchOrder order = DispatchOrder::isolated;
  // Seconds until the dispatch is stopped with DispatchError("deadline-exceeded"); unset: no limit.
  std::optional<double> deadline;
  // Asked every few milliseconds of a long run (not at all in a short one), with no lock held, on
  // the thread that called dispatch(); true stops the run with DispatchError("interrupted"). Empty:
  // never.
  std::function<bool()> interrupted;
};

// Seconds on the device clock. On the CPU device this is CLOCK_MONOTONIC around each run, on Metal
// the command buffer's GPUStartTime and GPUEndTime.
struct Timing {
  double start = 0;
  double end = 0;
  // Durations in seconds, each the mean of `repeats_per_run` repeats: a device whose clock reads
  // only once per command buffer (Metal) gives one figure for all of them. Empty for an in-stream
  // dispatch, and where the device's clock gave nothing that can be a time.
  std::vector<double> runs;
  unsigned repeats_per_run = 1;
  // What was copied between host and device because the memory could not be bound where it lay, in
  // bytes both ways together, and the seconds that took on the host; not part of `runs`.
  std::uint64_t copied_bytes = 0;
  double copy_seconds = 0;
  // What the sanitiser found, for kernels that were compiled with CompileOptions::check.
  std::vector<Finding> findings;
};

// What bears on a time and cannot be set from here; recorded with every result.
struct DeviceState {
  std::string thermal_state;          // "nominal", "fair", "serious", "critical" or "unknown"
  std::optional<bool> low_power_mode; // unset: the platform does not say
};

// Memory of exactly `length` bytes that host and device share; freed with the object. A dispatch
// must not outlive it.
class SharedMemory {
 public:
  virtual ~SharedMemory() = default;
  virtual void* contents() const = 0; // aligned to at least 64 bytes
  virtual std::uint64_t length() const = 0;
};

// ---------------------------------------------------------------------------------- the devices

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual const std::string& name() const = 0;
  virtual const std::vector<Argument>& arguments() const = 0;
  virtual std::uint64_t max_threads_per_threadgroup() const = 0;
  virtual std::uint64_t thread_execution_width() const = 0;
  virtual std::uint64_t static_threadgroup_memory() const = 0;
  // Runs and waits. Thread-safe. Throws Error for what can be refused before anything runs and
  // DispatchError for what happens during the run.
  virtual Timing dispatch(const Dispatch& dispatch) = 0;
  // Code at a stage, as text: "air", "llvm" (ready for code generation) or "asm".
  virtual std::string code(std::string_view stage) = 0;
  // How it executes: "vector-loop", "checked", with the reason; one line per fact.
  virtual std::string explain() = 0;
};

// What is known of a kernel before it is compiled for a device.
struct KernelDescription {
  std::string name;
  std::vector<Argument> arguments;
  std::vector<FunctionConstant> function_constants;
  std::uint64_t max_total_threads_per_threadgroup = 1024;
};

class Library {
 public:
  virtual ~Library() = default;
  virtual std::vector<std::string> kernel_names() const = 0;
  virtual std::vector<FunctionConstant> function_constants() const = 0;
  virtual const std::vector<Diagnostic>& warnings() const = 0;
  // Throws Error("no-such-kernel"), Error("missing-function-constant"), ...
  virtual std::shared_ptr<Kernel> kernel(std::string_view name,
                                         const ConstantValues& constants = {}) = 0;
  // Throws as kernel() does. Where a library cannot tell without compiling, it compiles.
  virtual KernelDescription describe(std::string_view name);
};

struct DeviceInfo {
  std::string kind;         // "cpu", "metal", "cuda"
  std::string name;         // "AMD EPYC 9654"
  std::string architecture; // "x86-64 avx512", "apple8", "sm_90"
  unsigned compute_units = 0;
  bool unified_memory = true;
  std::uint64_t max_buffers = 31;
  std::uint64_t max_threads_per_threadgroup = 1024;
  std::uint64_t max_threadgroup_memory = 32768;
  std::uint64_t max_inline_bytes = 4096; // setBytes
  std::uint64_t thread_execution_width = 32;
  std::string clock; // what Timing is read from, for the reader of a result
  // Facts that only some devices have, by name: "os", "msl-version", "registry-id", ...
  std::map<std::string, std::string> details;
};

class MetalFacilities; // metal/facilities.h

class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;
  virtual std::shared_ptr<Library> compile(std::string_view source,
                                           const CompileOptions& options) = 0;
  // The kernels of a .metallib file. Throws Error: "no-such-file", "invalid-metallib",
  // "not-supported".
  virtual std::shared_ptr<Library> load_metallib(const std::string& path);
  // Throws Error("out-of-memory").
  virtual std::shared_ptr<SharedMemory> allocate(std::uint64_t length) = 0;
  virtual DeviceState state() const = 0;
  // The median duration of a dispatch that does nothing, in seconds on the device clock.
  virtual double empty_dispatch_seconds() = 0;
  // What only a Metal device has; null elsewhere. Lives as long as the device.
  virtual MetalFacilities* metal() { return nullptr; }
};

} // namespace metalwright
