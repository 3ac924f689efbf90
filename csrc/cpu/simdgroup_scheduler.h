// Runs the simdgroups of a threadgroup as fibers on one operating-system thread.
#pragma once

#include "cpu/guarded_section.h"
#include "cpu/lane_scheduler.h"
#include "simt/launch.h"

#include <array>
#include <memory>
#include <vector>

namespace metalwright::cpu {

// What a thread of the pool keeps between threadgroups.
class SimdgroupScheduler {
 public:
  static SimdgroupScheduler& current();

  // Makes room for a threadgroup of `threads`; false: out of memory. Not in a guarded section,
  // since it allocates.
  bool prepare(std::size_t threads, std::size_t stack_size, bool has_barrier);

  // Runs one threadgroup to its end, inside a guarded section. False: a barrier diverged and
  // `failure` says so. prepare() has been called for at least its size, with the same stack size
  // and has_barrier. `is_joined`: one call of the entry runs all simdgroups.
  bool run(simt::SimdgroupEntry* entry, const simt::LaunchContext& launch,
           const simt::ThreadgroupContext& threadgroup, ThreadState& thread, Failure& failure,
           std::size_t stack_size, bool has_barrier, bool is_joined) noexcept;

  // For the function that generated code calls: simdgroup `state` is at a barrier with the lanes
  // `here`, of `all`.
  void wait(simt::SimdgroupState& state, std::uint32_t site, std::uint32_t here,
            std::uint32_t all) noexcept;

  // The same: not all lanes of `threadgroup`, which has one simdgroup, come to a barrier.
  void diverge(const simt::ThreadgroupContext& threadgroup, std::uint32_t site) noexcept;

 private:
  void run_fibers(simt::SimdgroupEntry* entry, const simt::LaunchContext& launch,
                  const simt::ThreadgroupContext& threadgroup, ThreadState& thread) noexcept;
  static void fiber_main(void* argument);
  // The stack pointer of what runs when `index` cannot go on: the next simdgroup, or after the last
  // one the first again, if all are at the same barrier; else the scheduler's own.
  void* next(unsigned index);

  FiberStacks stacks_;
  std::vector<simt::SimdgroupState> states_;
  // Not in here: a scheduler is thread-local, and there is little room for that.
  struct alignas(64) Shared {
    std::array<std::byte, simt::kSharedMemory * simt::kMostThreadgroups> bytes;
  };
  std::unique_ptr<Shared> shared_ = std::make_unique<Shared>();
  unsigned count_ = 0;
  simt::SimdgroupEntry* entry_ = nullptr;
  const simt::LaunchContext* launch_ = nullptr;
  const simt::ThreadgroupContext* threadgroup_ = nullptr;
  void* stack_pointer_ = nullptr; // the scheduler's own, while fibers run
  // Set when not every thread comes to a barrier: where some wait, and where others do (~0: they
  // have returned or are elsewhere).
  bool diverged_ = false;
  std::uint32_t site_ = 0;
  std::uint32_t other_site_ = 0;
  std::array<std::uint32_t, 3> position_{}; // of that threadgroup
};

extern "C" void metalwright_simdgroup_barrier(simt::SimdgroupState* state, std::uint32_t site,
                                              std::uint32_t here, std::uint32_t all) noexcept;
extern "C" void metalwright_simdgroup_diverged(simt::SimdgroupState* state,
                                               const simt::ThreadgroupContext* threadgroup,
                                               std::uint32_t site) noexcept;

} // namespace metalwright::cpu
