// The devices of this process: those of the build, and those that other modules register.
#include "python/device_registry.h"

#include "python/messages.h"

#if METALWRIGHT_CPU
#include "cpu/device.h"
#endif
#if METALWRIGHT_METAL
#include "metal/device.h"
#endif

#include <algorithm>
#include <charconv>
#include <mutex>

namespace metalwright::python {

namespace {

struct Registry {
  std::mutex mutex;
  std::vector<std::shared_ptr<Device>> registered;
  unsigned generation = 0;
};
// Never destroyed: threads of a device may outlive static destruction.
Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}

const std::vector<std::shared_ptr<Device>>& built_in_devices() {
  static const auto* const devices = [] {
    auto* const list = new std::vector<std::shared_ptr<Device>>;
#if METALWRIGHT_METAL
    *list = metal::metal_devices();
#endif
#if METALWRIGHT_CPU
    list->push_back(cpu::cpu_device());
#endif
    return list;
  }();
  return *devices;
}

bool is_kind(const std::shared_ptr<Device>& device, const std::string& kind) {
  return device->info().kind == kind;
}

} // namespace

std::vector<std::shared_ptr<Device>> present_devices() {
  std::vector<std::shared_ptr<Device>> devices = built_in_devices();
  const std::scoped_lock lock(registry().mutex);
  const auto& added = registry().registered;
  devices.insert(devices.end(), added.begin(), added.end());
  return devices;
}

std::shared_ptr<Device> device_named(const std::string& name) {
  const std::size_t colon = name.find(':');
  const std::string kind = name.substr(0, colon);
  std::size_t position = 0;
  bool readable = true;
  if (colon != std::string::npos) {
    const char* const end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + colon + 1, end, position);
    readable = error == std::errc() && stop == end;
  }
  std::string present;
  std::size_t seen = 0;
  for (const auto& device : present_devices()) {
    const std::string& own = device->info().kind;
    if (own == kind && readable && seen++ == position)
      return device;
    present += (present.empty() ? "" : ", ") + own;
  }
  throw messages::no_such_device(name, present);
}

void register_device(std::shared_ptr<Device> device) {
  const std::string kind = device->info().kind;
  const auto& built_in = built_in_devices();
  if (std::any_of(built_in.begin(), built_in.end(),
                  [&](const auto& other) { return is_kind(other, kind); }))
    throw messages::device_exists(kind);
  std::shared_ptr<Device> replaced; // destroyed without the lock
  const std::scoped_lock lock(registry().mutex);
  auto& devices = registry().registered;
  const auto found = std::find_if(devices.begin(), devices.end(),
                                  [&](const auto& other) { return is_kind(other, kind); });
  if (found == devices.end()) {
    devices.push_back(std::move(device));
  } else {
    replaced = std::move(*found);
    *found = std::move(device);
  }
  ++registry().generation;
}

void unregister_device(const std::string& kind) {
  std::vector<std::shared_ptr<Device>> removed; // destroyed without the lock
  const std::scoped_lock lock(registry().mutex);
  auto& devices = registry().registered;
  const auto first = std::stable_partition(
      devices.begin(), devices.end(), [&](const auto& other) { return !is_kind(other, kind); });
  removed.assign(std::make_move_iterator(first), std::make_move_iterator(devices.end()));
  if (removed.empty())
    return;
  devices.erase(first, devices.end());
  ++registry().generation;
}

unsigned registry_generation() {
  const std::scoped_lock lock(registry().mutex);
  return registry().generation;
}

} // namespace metalwright::python
