// What tests set and read of the stand-in: the Mac it plays, the faults to come, the misuse it saw,
// the objects alive. Thread-safe. No Objective-C here.
#pragma once

#include "device.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace metal_standin {

// The Mac that is played. Read at every call, so that a change shows at once.
struct Settings {
  int macos_major = 15;
  int macos_minor = 0;
  bool has_default_device = true; // MTLCreateSystemDefaultDevice gives one
  unsigned device_count = 1;      // what MTLCopyAllDevices gives: 0, 1 or 2
  std::string device_name = "Metal stand-in";
  int apple_family = 8;       // 5 is the paravirtual device of hosted runners
  bool unified_memory = true; // false: no shared memory between host and device is promised
  int thermal_state = 0;      // NSProcessInfoThermalState
  bool low_power_mode = false;
  bool capture_enabled = false; // MTL_CAPTURE_ENABLED=1 when the process started
  // GPU time added to every command buffer, on queues whose label contains `slow_queue`.
  double slow_seconds = 0;
  std::string slow_queue;
  double scheduling_seconds = 0;                  // before a committed command buffer starts
  double watchdog_seconds = 20;                   // a dispatch that runs longer ends with a timeout
  std::optional<std::uint64_t> max_total_threads; // of every pipeline made from now on
  bool counter_sets = true;
  // What counter sample buffers hold: "good", "zeros", "error-values"; or "never-completes": a
  // command buffer that samples does not end.
  std::string counters = "good";
  std::uint64_t max_buffer_length = std::uint64_t(1) << 34;
};

Settings settings();
Settings default_settings(); // with what the environment said at the start
void set_settings(const Settings& settings);

// The device that runs what the stand-in is given. Must be called before the first Metal call.
void set_backend(std::shared_ptr<metalwright::Device> device);
std::shared_ptr<metalwright::Device> backend();

// ------------------------------------------------------------------ faults

// Makes the stand-in fail `count` times, after letting `skip` occasions pass; -1: every time. Of
// command buffers only those on queues whose label contains `queue` are concerned. Faults:
//   library-compile, function-missing, pipeline-compile, allocation, command-queue, command-buffer
//     (the call gives nil, with an NSError where it has one);
//   device-lost (and everything after it), timeout, impacting-interactivity, page-fault,
//     out-of-memory, internal, never-completes (the command buffer's end);
//   archive-serialise.
// Throws std::invalid_argument for another name.
void inject(const std::string& fault, int count = 1, int skip = 0, const std::string& queue = "");
bool take_fault(const char* fault, const std::string& queue = "");
bool device_is_lost();

// Ends every command buffer that "never completes", with an error; forgets faults; the device is
// found again. Settings stay.
void clear_faults();
// Waits until a GPU thread is held up by a fault that does not end; false after the timeout.
bool wait_until_stuck(double seconds);
// Blocks the calling GPU thread until clear_faults().
void wait_for_clear_faults();

// ------------------------------------------------------------------ misuse

// What Metal's debug layer would have stopped the program for.
struct Misuse {
  std::string code;
  std::string message;
};
std::vector<Misuse> misuses();
void clear_misuses();
void record_misuse(const std::string& code, const std::string& message);

// ------------------------------------------------------------------ counts

// Objects alive by class name, without the classes that have none.
std::map<std::string, std::int64_t> live_objects();
void count_object(const char* class_name, int change);

// Occasions since the start, by name: "compiles", "pipelines", "archive-hits", "dispatches",
// "command-buffers", "copies", ...
std::map<std::string, std::uint64_t> statistics();
void count(const char* occasion);

// Waits until every committed command buffer has ended; false after the timeout. What "never
// completes" is not waited for.
bool wait_until_idle(double seconds);
void command_buffer_started();
void command_buffer_ended();

} // namespace metal_standin
