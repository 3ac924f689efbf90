// What tests set and read of the stand-in.
#include "controls.h"

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string_view>

namespace metal_standin {

namespace {

constexpr std::array kFaults{"library-compile", "function-missing", "pipeline-compile",
                             "allocation",      "command-queue",    "command-buffer",
                             "device-lost",     "timeout",          "impacting-interactivity",
                             "page-fault",      "out-of-memory",    "internal",
                             "never-completes", "archive-serialise"};

struct Fault {
  std::string name;
  int left = 1; // -1: without end
  int skip = 0;
  std::string queue;
};

struct State {
  std::mutex mutex;
  std::condition_variable changed;
  Settings settings;
  std::shared_ptr<metalwright::Device> backend;
  std::vector<Fault> faults;
  bool device_lost = false;
  std::uint64_t clearings = 0;
  std::vector<Misuse> misuses;
  std::map<std::string, std::int64_t> live;
  std::map<std::string, std::uint64_t> statistics;
  unsigned stuck = 0;       // GPU threads in wait_for_clear_faults()
  std::int64_t running = 0; // committed command buffers that are expected to end
};

// Read once, when the library is loaded, as Metal does.
const bool capture_enabled_at_start = [] {
  const char* value = std::getenv("MTL_CAPTURE_ENABLED");
  return value && std::string_view(value) == "1";
}();

// Never destroyed: GPU threads outlive main().
State& state() {
  static State* const state = [] {
    auto* made = new State;
    made->settings = default_settings();
    return made;
  }();
  return *state;
}

} // namespace

Settings default_settings() {
  Settings settings;
  settings.capture_enabled = capture_enabled_at_start;
  return settings;
}

Settings settings() {
  const std::lock_guard lock(state().mutex);
  return state().settings;
}

void set_settings(const Settings& settings) {
  const std::lock_guard lock(state().mutex);
  state().settings = settings;
}

void set_backend(std::shared_ptr<metalwright::Device> device) {
  const std::lock_guard lock(state().mutex);
  state().backend = std::move(device);
}

std::shared_ptr<metalwright::Device> backend() {
  const std::lock_guard lock(state().mutex);
  if (!state().backend) {
    std::fputs("metal stand-in: no device was installed behind it\n", stderr);
    std::abort();
  }
  return state().backend;
}

void inject(const std::string& fault, int count, int skip, const std::string& queue) {
  bool known = false;
  for (const char* name : kFaults)
    known = known || fault == name;
  if (!known)
    throw std::invalid_argument("no such fault: " + fault);
  const std::lock_guard lock(state().mutex);
  state().faults.push_back({fault, count, skip, queue});
}

bool take_fault(const char* fault, const std::string& queue) {
  const std::lock_guard lock(state().mutex);
  for (Fault& pending : state().faults) {
    if (pending.name != fault || pending.left == 0 ||
        queue.find(pending.queue) == std::string::npos)
      continue;
    if (pending.skip > 0) {
      --pending.skip;
      return false;
    }
    if (pending.left > 0)
      --pending.left;
    if (std::strcmp(fault, "device-lost") == 0)
      state().device_lost = true;
    return true;
  }
  return false;
}

bool device_is_lost() {
  const std::lock_guard lock(state().mutex);
  return state().device_lost;
}

void clear_faults() {
  {
    const std::lock_guard lock(state().mutex);
    state().faults.clear();
    state().device_lost = false;
    ++state().clearings;
  }
  state().changed.notify_all();
}

void wait_for_clear_faults() {
  std::unique_lock lock(state().mutex);
  --state().running;
  ++state().stuck;
  state().changed.notify_all();
  const std::uint64_t before = state().clearings;
  state().changed.wait(lock, [&] { return state().clearings != before; });
  ++state().running;
  --state().stuck;
}

bool wait_until_stuck(double seconds) {
  std::unique_lock lock(state().mutex);
  return state().changed.wait_for(lock, std::chrono::duration<double>(seconds),
                                  [] { return state().stuck > 0; });
}

std::vector<Misuse> misuses() {
  const std::lock_guard lock(state().mutex);
  return state().misuses;
}

void clear_misuses() {
  const std::lock_guard lock(state().mutex);
  state().misuses.clear();
}

void record_misuse(const std::string& code, const std::string& message) {
  const std::lock_guard lock(state().mutex);
  state().misuses.push_back({code, message});
}

std::map<std::string, std::int64_t> live_objects() {
  const std::lock_guard lock(state().mutex);
  std::map<std::string, std::int64_t> live;
  for (const auto& [name, number] : state().live)
    if (number != 0)
      live.emplace(name, number);
  return live;
}

void count_object(const char* class_name, int change) {
  const std::lock_guard lock(state().mutex);
  state().live[class_name] += change;
}

std::map<std::string, std::uint64_t> statistics() {
  const std::lock_guard lock(state().mutex);
  return state().statistics;
}

void count(const char* occasion) {
  const std::lock_guard lock(state().mutex);
  ++state().statistics[occasion];
}

bool wait_until_idle(double seconds) {
  std::unique_lock lock(state().mutex);
  return state().changed.wait_for(lock, std::chrono::duration<double>(seconds),
                                  [] { return state().running <= 0; });
}

void command_buffer_started() {
  const std::lock_guard lock(state().mutex);
  ++state().running;
}

void command_buffer_ended() {
  {
    const std::lock_guard lock(state().mutex);
    --state().running;
  }
  state().changed.notify_all();
}

} // namespace metal_standin
