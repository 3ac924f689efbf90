// Runs the threads of a threadgroup as fibers on one operating-system thread.
#pragma once

#include "cpu/guarded_section.h"
#include "cpu/lane_observer.h"
#include "simt/launch.h"

#include <cstddef>
#include <vector>

namespace metalwright::simt {

// Lanes that are blocked say where; sites.h explains why going on at the smallest number is exact.
struct Simdgroup {
  std::uint32_t live = 0;     // lanes that have not returned
  std::uint32_t runnable = 0; // lanes that are running or may
  bool at_barrier = false;    // all live lanes are, at barrier_site
  std::uint32_t barrier_site = 0;
  void* scheduler = nullptr;                // the LaneScheduler that runs it
  void** scheduler_stack_pointer = nullptr; // where its own stack goes on
  Lane* lanes = nullptr;                    // 32
  std::uint32_t site[kSimdgroupSize];
  Combine* combine[kSimdgroupSize]; // of the site where each lane is blocked
  std::uint32_t count[kSimdgroupSize];
  // Set when lanes of one simdgroup are at a barrier and others are not going to come.
  bool diverged = false;
  std::uint32_t other_site = 0;
  cpu::LaneObserver* observer = nullptr;
};

} // namespace metalwright::simt

namespace metalwright::cpu {

// Stacks for fibers, each with a guard page below, kept for the next threadgroup.
class FiberStacks {
 public:
  FiberStacks() = default;
  ~FiberStacks();
  FiberStacks(const FiberStacks&) = delete;
  FiberStacks& operator=(const FiberStacks&) = delete;
  // False: there is no memory for them.
  bool require(std::size_t count, std::size_t size);
  std::byte* top(std::size_t index) const;

 private:
  std::byte* base_ = nullptr;
  std::size_t count_ = 0;
  std::size_t size_ = 0; // of one with its guard
};

// What a thread of the pool keeps between threadgroups.
class LaneScheduler {
 public:
  static LaneScheduler& current();

  // Makes room for `threads` fibers of `stack_size` bytes each; false: out of memory. Not in a
  // guarded section, since it allocates.
  bool prepare(std::size_t threads, std::size_t stack_size, bool has_barrier);

  // Runs one threadgroup to its end, inside a guarded section. False: a barrier diverged and
  // `failure` says so. prepare() has been called for at least its size.
  bool run(simt::LaneEntry* entry, const simt::LaunchContext& launch,
           const simt::ThreadgroupContext& threadgroup, bool has_barrier, ThreadState& thread,
           Failure& failure) noexcept;

  // From now on `observer` (null: nobody) is told what happens.
  void observe(LaneObserver* observer) { observer_ = observer; }

  // A threadgroup's memory, 32 KB.
  std::byte* threadgroup_memory();

 private:
  static void fiber_main(void* argument);
  void start_lanes(simt::Simdgroup& group, unsigned simdgroup, unsigned stack, unsigned count,
                   const simt::ThreadgroupContext& threadgroup);
  void run_until_blocked(simt::Simdgroup& group, ThreadState& thread);
  bool release_barrier(unsigned groups, Failure& failure,
                       const simt::ThreadgroupContext& threadgroup);
  void report_divergence(unsigned groups, const simt::ThreadgroupContext& threadgroup);

  FiberStacks stacks_;
  std::vector<simt::Simdgroup> groups_;
  std::vector<simt::Lane> lanes_;
  std::byte* memory_ = nullptr;
  simt::LaneEntry* entry_ = nullptr;
  const simt::LaunchContext* launch_ = nullptr;
  const simt::ThreadgroupContext* threadgroup_ = nullptr;
  void* scheduler_stack_pointer_ = nullptr;
  LaneObserver* observer_ = nullptr;

 public:
  ~LaneScheduler();
};

// The functions that generated code blocks in (checked.h has their names).
extern "C" {
void metalwright_barrier(simt::Lane* lane, std::uint32_t site) noexcept;
void metalwright_meet(simt::Lane* lane, std::uint32_t site) noexcept;
void metalwright_collective(simt::Lane* lane, std::uint32_t site, simt::Combine* combine,
                            std::uint32_t count) noexcept;
}

} // namespace metalwright::cpu
