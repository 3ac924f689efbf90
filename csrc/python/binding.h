// A Python call turned into a Dispatch: which object goes to which argument, how many threads run.
#pragma once

#include "device.h"
#include "python/element_type.h"
#include "python/tensor.h"

#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <vector>

namespace metalwright::python {

// What is known about an argument before any call, so that a call only compares and copies.
struct ArgumentBinder {
  Argument argument;
  ArgumentType type;
  PyObject* name = nullptr;     // interned; kept for good
  std::size_t tensor_rank = 0;  // of `tensor<...>`: its shape is bound along with the memory
  unsigned shape_index = 0;     // where
  bool is_error_buffer = false; // c10::metal::ErrorMessages*, filled by torch's TORCH_REPORT_ERROR
};

enum class Convention {
  metalwright, // numbers become the argument's own type; positions count the arguments
  torch, // torch.mps: int64 and float32 unless arg_casts; positions are buffer indices; no dtype
         // checks
};

// Whether an argument holds the extents and strides of a tensor that is another
// argument. Nobody passes it: it is bound with the tensor.
bool is_tensor_shape(const Argument& argument);

struct KernelBinder {
  std::string kernel;
  TensorHome home;
  Convention convention = Convention::metalwright;
  std::vector<ArgumentBinder> buffers; // by index
  std::vector<ArgumentBinder> threadgroup_memory;
  std::vector<ArgumentBinder> handles; // textures, then samplers, each by index
  std::uint64_t max_threads = 1024;
  std::uint64_t execution_width = 32;
  std::uint64_t max_inline_bytes = 4096;
  std::size_t active_buffers = 0; // those that no function constant switches off
  bool waits_in_stream = false;   // an in-stream dispatch is over when it returns (cpu)
  // Whether the user was told that overlapping memory is bound, or need not be; with the GIL held.
  mutable bool aliasing_warned = false;

  KernelBinder(Kernel& kernel, const DeviceInfo& device, Convention convention);
};

// The memory of one call: the dispatch, values given by number, exported buffers.
class Call {
 public:
  // `arguments` as vectorcall passes them: positional ones, then the values of `keywords` (may be
  // null). Throws metalwright::Error for what the user got wrong.
  void bind(const KernelBinder& binder, PyObject* const* arguments, std::size_t positional,
            PyObject* keywords);
  // Throws DispatchError("reported-by-kernel") if the kernel reported an error
  // (TORCH_REPORT_ERROR).
  void check_reported_errors(const KernelBinder& binder) const;
  void clear();

  Dispatch dispatch;

 private:
  struct Options;
  void bind_buffer(const KernelBinder& binder, const ArgumentBinder& argument, PyObject* value,
                   const Options& options);
  void bind_memory(const KernelBinder& binder, const ArgumentBinder& argument, Memory memory,
                   PyObject* value, bool check);
  // Binds the textures and samplers among the positional arguments and gives the others.
  std::vector<PyObject*> bind_handles(const KernelBinder& binder, PyObject* const* arguments,
                                      std::size_t positional);
  void bind_handle(const KernelBinder& binder, const ArgumentBinder& argument, PyObject* value);
  void bind_bytes(const KernelBinder& binder, const ArgumentBinder& argument,
                  std::span<std::byte> bytes);
  void bind_shape(const KernelBinder& binder, const ArgumentBinder& argument,
                  const std::vector<std::int64_t>& numbers);
  void bind_error_buffer(const KernelBinder& binder, unsigned index);
  void bind_threadgroup_memory(const KernelBinder& binder, PyObject* sizes);
  void set_grid(const KernelBinder& binder, const Options& options);
  void warn_of_aliasing(const KernelBinder& binder) const;
  std::byte* allocate(std::uint64_t size);

  struct alignas(64) Block {
    std::byte bytes[64];
  };
  alignas(64) std::byte small_[1024];
  std::uint64_t small_used_ = 0;
  std::vector<std::unique_ptr<Block[]>> large_;
  std::vector<BufferExport> exports_;
  // What is bound of the caller's memory: the elements, not what lies behind them in the storage.
  struct Span {
    std::uintptr_t resource; // 0: host memory
    std::uint64_t begin, end;
    PyObject* value; // borrowed from the call's arguments
    const Argument* argument;
  };
  std::vector<Span> spans_;
  std::byte* error_buffer_ = nullptr;
  std::vector<bool> bound_handles_; // per position in KernelBinder::handles
  std::uint64_t bound_ = 0;         // bit per position in KernelBinder::buffers
  std::optional<std::uint64_t> first_tensor_elements_;
};

} // namespace metalwright::python
