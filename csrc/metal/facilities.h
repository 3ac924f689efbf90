// What only the Metal device has, for callers that know no Metal: torch's stream, GPU traces,
// counter samples, the on-disk archive, the self-test.
#pragma once

#include <cstdint>
#include <string>

namespace metalwright {

// The torch that shares this process; told by whoever imported it.
struct TorchInProcess {
  int major = 0;
  int minor = 0;
  // Path of libtorch_cpu.dylib, searched if torch's functions are not visible to the whole process.
  std::string library;
};

// `usable` is true only after the thing was tried here and gave what it should. Otherwise `reason`
// is a sentence for the user.
struct FacilityTest {
  bool usable = false;
  std::string reason;
};

struct ArchiveStatistics {
  std::string folder;         // empty: no archive is used
  std::uint64_t hits = 0;     // pipelines taken from it
  std::uint64_t misses = 0;   // compiled, and added
  std::uint64_t replaced = 0; // files that were corrupt or stale
  std::uint64_t failures = 0; // additions that could not be written
  std::string last_failure;   // of the last of those
};

// Thread-safe. Reached by Device::metal().
class MetalFacilities {
 public:
  virtual ~MetalFacilities() = default;

  // From then on isolated dispatches wait for torch's stream first, and in-stream ones are possible
  // if in_stream() says so. Throws Error("no-torch-stream") if the functions are not found.
  virtual void use_torch(const TorchInProcess& torch) = 0;
  virtual FacilityTest in_stream() = 0;

  // A GPU trace of everything on the device from start to stop. `path` ends in .gputrace and must
  // not exist. Throws Error: "capture-not-enabled", "capture-path", "capture-active",
  // "capture-failed"; stop: "no-capture".
  virtual void start_capture(const std::string& path) = 0;
  virtual void stop_capture() = 0;

  // Timestamps sampled at the boundaries of a compute pass: tried with a kernel whose time is known
  // from its command buffer.
  virtual FacilityTest counter_samples() = 0;

  // Pipelines made from then on are looked up in files of `folder` (made if missing) and added to
  // it; empty: no longer. Throws Error("archive-folder").
  virtual void use_archive(const std::string& folder) = 0;
  virtual ArchiveStatistics archive() const = 0;

  // Compiles and runs a small kernel and compares its output, waiting at most `seconds`.
  virtual FacilityTest self_test(double seconds) = 0;
};

} // namespace metalwright
