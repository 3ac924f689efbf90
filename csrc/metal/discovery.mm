// Which GPUs there are, and what they are.
#include "metal/discovery.h"

#include <algorithm>
#include <utility>

namespace metalwright::metal {

namespace {

// By number: an SDK knows the families of its own time only.
constexpr std::pair<NSInteger, const char*> kFamilies[] = {
    {1005, "apple5"},  {1006, "apple6"}, {1007, "apple7"}, {1008, "apple8"}, {1009, "apple9"},
    {1010, "apple10"}, {2002, "mac2"},   {5001, "metal3"}, {5002, "metal4"},
};

} // namespace

std::vector<Owned<id<MTLDevice>>> find_devices() {
  std::vector<Owned<id<MTLDevice>>> devices;
  const auto add = [&](const Owned<id<MTLDevice>>& device) {
    if (device && std::ranges::none_of(devices, [&](const Owned<id<MTLDevice>>& other) {
          return [other.get() registryID] == [device.get() registryID];
        }))
      devices.push_back(device);
  };
  add(Owned<id<MTLDevice>>::adopt(MTLCreateSystemDefaultDevice()));
  // In a process without a window session the default can be missing while devices are there.
  const auto all = Owned<NSArray<id<MTLDevice>>*>::adopt(MTLCopyAllDevices());
  for (id<MTLDevice> device in all.get())
    add(Owned<id<MTLDevice>>::share(device));
  return devices;
}

DeviceInfo describe_device(id<MTLDevice> device, const OsVersion& os) {
  DeviceInfo info;
  info.kind = "metal";
  info.name = from_objc([device name]);
  std::string families;
  for (const auto& [number, name] : kFamilies) {
    if (![device supportsFamily:static_cast<MTLGPUFamily>(number)])
      continue;
    families += (families.empty() ? "" : " ") + std::string(name);
    // The highest of Apple's own. Apple silicon supports the Intel machines' family as well.
    if (number < 2000 || (number < 3000 && info.architecture.empty()))
      info.architecture = name;
  }
  if (info.architecture.empty())
    info.architecture = "unknown";
  info.unified_memory = [device hasUnifiedMemory];
  // 31 buffers and 4096 bytes of setBytes are the limits of every Metal GPU and cannot be asked.
  info.max_threads_per_threadgroup = [device maxThreadsPerThreadgroup].width;
  info.max_threadgroup_memory = [device maxThreadgroupMemoryLength];
  info.clock = "GPUStartTime and GPUEndTime of the command buffer, on the GPU";
  info.details["families"] = families;
  info.details["registry-id"] = std::to_string([device registryID]);
  info.details["os"] = os.text;
  info.details["os-version"] =
      std::to_string(os.major) + "." + std::to_string(os.minor) + "." + std::to_string(os.patch);
  info.details["msl-version"] = language_version_text(newest_language_version(os));
  info.details["recommended-working-set-bytes"] =
      std::to_string([device recommendedMaxWorkingSetSize]);
  info.details["max-buffer-bytes"] = std::to_string([device maxBufferLength]);
  info.details["low-power-gpu"] = [device isLowPower] ? "yes" : "no";
  info.details["removable"] = [device isRemovable] ? "yes" : "no";
  return info;
}

} // namespace metalwright::metal
