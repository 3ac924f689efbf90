// What the scheduler of the checked engine tells someone who watches.
#pragma once

#include "simt/launch.h"

#include <cstdint>
#include <span>

namespace metalwright::cpu {

// Called on fibers and on the scheduler's stack, inside a guarded section.
class LaneObserver {
 public:
  virtual ~LaneObserver() = default;
  // Whether the simdgroups of a threadgroup take turns from the last to the first.
  virtual bool reverses_simdgroups() const { return false; }
  // A threadgroup begins.
  virtual void on_threadgroup(const simt::ThreadgroupContext&) {}
  // A thread begins.
  virtual void on_start(simt::Lane&) {}
  // A thread goes on after it waited.
  virtual void on_resume(simt::Lane&) {}
  // Lanes `there` of a simdgroup are at a site, before `combine` (null: they only meet).
  virtual void on_meet(simt::Lane* /*lanes*/, std::uint32_t /*there*/, std::uint32_t /*site*/,
                       simt::Combine* /*combine*/, std::uint32_t /*count*/) {}
  // All threads of the threadgroup are at a barrier and go on.
  virtual void on_barrier(std::uint32_t /*site*/) {}

  // Where the threads are when not all of them come to a barrier. `site` is kReturned for those
  // that have ended.
  static constexpr std::uint32_t kReturned = ~0u;
  struct Party {
    std::uint32_t site = kReturned;
    bool at_barrier = false;
    std::uint32_t count = 0;
    std::uint32_t first = 0; // the least index in the threadgroup
  };
  virtual void on_divergence(std::span<const Party>) {}
};

} // namespace metalwright::cpu
