// The device object.
#include "cpu/device.h"

#include "air/verify.h"
#include "cpu/library.h"
#include "cpu/metallib_library.h"
#include "cpu/target.h"
#include "errors.h"

#include <llvm/Config/llvm-config.h>

#include <algorithm>
#include <mutex>
#include <new>

namespace metalwright::cpu {

namespace {

// Aligned to the largest page size in use, so that a device that maps host memory by the page could
// take it as it is.
constexpr std::size_t kAlignment = 16384;

class HostMemory final : public SharedMemory {
 public:
  explicit HostMemory(std::uint64_t length) : length_(length) {
    contents_ = ::operator new(std::max<std::uint64_t>(length, 1), std::align_val_t(kAlignment),
                               std::nothrow);
    if (!contents_)
      throw Error(errors::out_of_memory,
                  std::to_string(length) + " bytes could not be had from the system");
  }
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;
  ~HostMemory() override { ::operator delete(contents_, std::align_val_t(kAlignment)); }

  void* contents() const override { return contents_; }
  std::uint64_t length() const override { return length_; }

 private:
  std::uint64_t length_;
  void* contents_;
};

class CpuDevice final : public Device {
 public:
  CpuDevice() {
    const HostDescription host = describe_host();
    info_.kind = "cpu";
    info_.name = host.name;
    info_.architecture = host.architecture;
    info_.compute_units = host.processors;
    info_.clock = "CLOCK_MONOTONIC around each run, on the host";
    info_.details["llvm"] = LLVM_VERSION_STRING;
    install_signal_handlers();
  }

  const DeviceInfo& info() const override { return info_; }

  std::shared_ptr<Library> compile(std::string_view source,
                                   const CompileOptions& options) override {
    install_signal_handlers();
    return std::make_shared<CpuLibrary>(msl::compile(source, options), options.check,
                                        ProgramSource{std::string(source), options});
  }

  std::shared_ptr<Library> load_metallib(const std::string& path) override {
    install_signal_handlers();
    return open_metallib(path);
  }

  std::shared_ptr<SharedMemory> allocate(std::uint64_t length) override {
    return std::make_shared<HostMemory>(length);
  }

  DeviceState state() const override { return {"unknown", std::nullopt}; }

  double empty_dispatch_seconds() override {
    const std::scoped_lock lock(empty_mutex_);
    if (!empty_seconds_) {
      Dispatch dispatch;
      dispatch.repeats = 200;
      std::vector<double> runs = compile("kernel void metalwright_empty() {}", {})
                                     ->kernel("metalwright_empty")
                                     ->dispatch(dispatch)
                                     .runs;
      std::nth_element(runs.begin(), runs.begin() + runs.size() / 2, runs.end());
      empty_seconds_ = runs[runs.size() / 2];
    }
    return *empty_seconds_;
  }

 private:
  DeviceInfo info_;
  std::mutex empty_mutex_;
  std::optional<double> empty_seconds_; // measured once
};

} // namespace

std::shared_ptr<Device> cpu_device() {
  static const std::shared_ptr<Device> device = std::make_shared<CpuDevice>();
  return device;
}

std::shared_ptr<Library> cpu_library_from_module(msl::CompiledModule module) {
  cpu_device(); // signal handlers
  if (std::string violation = air::find_violation(*module.module); !violation.empty())
    throw Error(errors::invalid_air, "the module is not valid: " + violation);
  return std::make_shared<CpuLibrary>(std::move(module));
}

} // namespace metalwright::cpu
