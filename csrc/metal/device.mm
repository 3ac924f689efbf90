// The Metal device: Device and MetalFacilities over the parts of this folder.
#include "metal/device.h"

#include "metal/capture.h"
#include "metal/commands.h"
#include "metal/counters.h"
#include "metal/discovery.h"
#include "metal/guarded.h"
#include "metal/includes.h"
#include "metal/internal_kernel.h"
#include "metal/library.h"
#include "metal/self_test.h"

#include <algorithm>

namespace metalwright::metal {

namespace {

constexpr unsigned kEmptyRuns = 25; // the median of them is the overhead

class MetalDevice final : public Device, public MetalFacilities {
 public:
  // Called in a pool.
  MetalDevice(Owned<id<MTLDevice>> device, const OsVersion& os)
      : context_(std::make_shared<Context>()) {
    context_->device = std::move(device);
    context_->os = os;
    context_->info = describe_device(context_->device.get(), os);
    context_->queue = Owned<id<MTLCommandQueue>>::adopt([context_->device.get() newCommandQueue]);
    if (!context_->queue)
      throw Error(errors::device_lost, "the GPU '" + context_->info.name + "' gave no queue");
    [context_->queue.get() setLabel:@"metalwright"];
  }

  const DeviceInfo& info() const override { return context_->info; }

  std::shared_ptr<Library> compile(std::string_view source,
                                   const CompileOptions& options) override {
    std::string text = inline_includes(source, options.include_paths);
    return in_pool([&]() -> std::shared_ptr<Library> {
      return std::make_shared<MetalLibrary>(context_, std::move(text), options);
    });
  }

  std::shared_ptr<SharedMemory> allocate(std::uint64_t length) override {
    return in_pool([&] { return context_->allocations->allocate(context_->device.get(), length); });
  }

  DeviceState state() const override {
    return in_pool([&] {
      NSProcessInfo* const process = [NSProcessInfo processInfo];
      DeviceState state;
      switch ([process thermalState]) {
      case NSProcessInfoThermalStateNominal:
        state.thermal_state = "nominal";
        break;
      case NSProcessInfoThermalStateFair:
        state.thermal_state = "fair";
        break;
      case NSProcessInfoThermalStateSerious:
        state.thermal_state = "serious";
        break;
      case NSProcessInfoThermalStateCritical:
        state.thermal_state = "critical";
        break;
      default:
        state.thermal_state = "unknown";
        break;
      }
      state.low_power_mode = [process isLowPowerModeEnabled] == YES;
      return state;
    });
  }

  double empty_dispatch_seconds() override {
    const std::lock_guard lock(empty_mutex_);
    if (!empty_seconds_)
      empty_seconds_ = in_pool([&] { return measure_empty_dispatch(); });
    return *empty_seconds_;
  }

  MetalFacilities* metal() override { return this; }

  void use_torch(const TorchInProcess& torch) override { context_->torch.use(torch); }
  FacilityTest in_stream() override { return context_->torch.in_stream(); }
  void start_capture(const std::string& path) override {
    in_pool([&] { metal::start_capture(*context_, path); });
  }
  void stop_capture() override {
    in_pool([&] { metal::stop_capture(); });
  }
  FacilityTest counter_samples() override {
    return in_pool([&] { return test_counter_samples(*context_); });
  }
  void use_archive(const std::string& folder) override { context_->archive.use(folder); }
  ArchiveStatistics archive() const override { return context_->archive.statistics(); }
  FacilityTest self_test(double seconds) override {
    return in_pool([&] { return run_self_test(*context_, seconds); });
  }

 private:
  double measure_empty_dispatch() {
    context_->health.require();
    const auto pipeline =
        internal_kernel(*context_, "kernel void metalwright_empty() {}", "metalwright_empty");
    std::vector<double> seconds;
    for (unsigned run = 0; run < kEmptyRuns; ++run)
      in_pool([&] {
        const auto outcome = run_commands(*context_, "the empty kernel",
                                          [&](id<MTLComputeCommandEncoder> encoder) {
                                            [encoder setComputePipelineState:pipeline.get()];
                                            [encoder dispatchThreads:MTLSizeMake(1, 1, 1)
                                                threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
                                          },
                                          {});
        if (const auto* failure = std::get_if<CommandFailure>(&outcome))
          throw DispatchError(failure->code, "the empty kernel did not end well: " + failure->text);
        if (const auto& interval = std::get<GpuInterval>(outcome); interval.is_time())
          seconds.push_back(interval.end - interval.start);
      });
    if (seconds.size() <= kEmptyRuns / 2)
      throw Error(errors::no_gpu_time, "the GPU gave no times for its command buffers");
    std::ranges::nth_element(seconds,
                             seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2));
    return seconds[seconds.size() / 2];
  }

  std::shared_ptr<Context> context_;
  std::mutex empty_mutex_;
  std::optional<double> empty_seconds_; // measured once
};

} // namespace

std::vector<std::shared_ptr<Device>> metal_devices() {
  return in_pool([] {
    const OsVersion os = os_version();
    std::vector<std::shared_ptr<Device>> devices;
    for (Owned<id<MTLDevice>>& device : find_devices())
      devices.push_back(std::make_shared<MetalDevice>(std::move(device), os));
    return devices;
  });
}

} // namespace metalwright::metal
