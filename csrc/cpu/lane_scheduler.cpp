// Blocking, meeting, barriers, and the loop over simdgroups.
#include "cpu/lane_scheduler.h"

#include "cpu/context_switch.h"

#include <algorithm>
#include <bit>
#include <new>

#include <sys/mman.h>
#include <unistd.h>

namespace metalwright::cpu {

using simt::kSimdgroupSize;
using simt::Lane;
using simt::Simdgroup;

// ------------------------------------------------------------------------------ stacks

FiberStacks::~FiberStacks() {
  if (base_)
    munmap(base_, count_ * size_);
}

bool FiberStacks::require(std::size_t count, std::size_t size) {
  const std::size_t page = static_cast<std::size_t>(getpagesize());
  size = (size + page - 1) / page * page + page;
  if (base_ && count <= count_ && size <= size_)
    return true;
  if (base_)
    munmap(base_, count_ * size_);
  base_ = nullptr;
  count = std::max(count, count_);
  size = std::max(size, size_);
  void* memory = mmap(nullptr, count * size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) {
    count_ = size_ = 0;
    return false;
  }
  base_ = static_cast<std::byte*>(memory);
  count_ = count;
  size_ = size;
  // Stacks are as large as the code that runs on them needs; the guard is for what nobody foresaw.
  // A system that runs out of mappings for guards (many cores, full threadgroups) still has the
  // former.
  for (std::size_t i = 0; i < count; ++i)
    if (mprotect(base_ + i * size, page, PROT_NONE) != 0)
      break;
  return true;
}

std::byte* FiberStacks::top(std::size_t index) const {
  // Stacks a multiple of pages apart would all begin at the same place of a cache's sets.
  return base_ + (index + 1) * size_ - index % 16 * 64;
}

// ------------------------------------------------------------------------------ blocking

namespace {

// Stands where `combine` would for a lane at a threadgroup barrier.
void barrier_mark(Lane*, std::uint32_t, std::uint32_t) {}

// All live lanes of the group are blocked: lets those at the smallest site go on. False: none may,
// because they are all at a barrier, or some are and the others will not come.
bool resolve(Simdgroup& group) {
  std::uint32_t smallest = ~0u;
  for (std::uint32_t left = group.live; left != 0; left &= left - 1)
    smallest = std::min(smallest, group.site[std::countr_zero(left)]);
  std::uint32_t there = 0;
  for (std::uint32_t left = group.live; left != 0; left &= left - 1) {
    const unsigned i = static_cast<unsigned>(std::countr_zero(left));
    there |= std::uint32_t{group.site[i] == smallest} << i;
  }
  const unsigned first = static_cast<unsigned>(std::countr_zero(there));
  if (group.combine[first] == &barrier_mark) {
    group.barrier_site = smallest;
    group.at_barrier = true;
    if (there != group.live) {
      group.diverged = true;
      group.other_site = group.site[std::countr_zero(group.live & ~there)];
    }
    return false;
  }
  if (group.observer)
    group.observer->on_meet(group.lanes, there, smallest, group.combine[first], group.count[first]);
  if (group.combine[first])
    group.combine[first](group.lanes, there, group.count[first]);
  group.runnable = there;
  return true;
}

// Where to go when the current lane cannot go on.
void* next_stack_pointer(Simdgroup& group) {
  if (group.runnable == 0 && (group.live == 0 || !resolve(group)))
    return *group.scheduler_stack_pointer;
  return group.lanes[std::countr_zero(group.runnable)].stack_pointer;
}

inline void block(Lane* lane, std::uint32_t site, simt::Combine* combine, std::uint32_t count) {
  Simdgroup& group = *lane->simdgroup;
  const unsigned i = lane->index_in_simdgroup;
  group.site[i] = site;
  group.combine[i] = combine;
  group.count[i] = count;
  group.runnable &= ~(1u << i);
  if (group.runnable == 0 && resolve(group) &&
      static_cast<unsigned>(std::countr_zero(group.runnable)) == i) {
    if (group.observer)
      group.observer->on_resume(*lane);
    return; // first of those that go on: no switch
  }
  void* next = group.runnable != 0 ? group.lanes[std::countr_zero(group.runnable)].stack_pointer
                                   : *group.scheduler_stack_pointer;
  metalwright_switch(&lane->stack_pointer, next);
  if (group.observer)
    group.observer->on_resume(*lane);
}

} // namespace

void metalwright_barrier(Lane* lane, std::uint32_t site) noexcept {
  block(lane, site, &barrier_mark, 0);
}
void metalwright_meet(Lane* lane, std::uint32_t site) noexcept {
  block(lane, site, nullptr, 0);
}
void metalwright_collective(Lane* lane, std::uint32_t site, simt::Combine* combine,
                            std::uint32_t count) noexcept {
  block(lane, site, combine, count);
}

// ------------------------------------------------------------------------------ the scheduler

static unsigned threads_in(const simt::ThreadgroupContext& threadgroup) {
  return threadgroup.threads[0] * threadgroup.threads[1] * threadgroup.threads[2];
}
static unsigned lanes_in(const simt::ThreadgroupContext& threadgroup, unsigned simdgroup) {
  return std::min(kSimdgroupSize, threads_in(threadgroup) - simdgroup * kSimdgroupSize);
}
static std::uint32_t all_lanes(unsigned count) {
  return count == kSimdgroupSize ? ~0u : (1u << count) - 1;
}

LaneScheduler& LaneScheduler::current() {
  thread_local LaneScheduler scheduler;
  return scheduler;
}

LaneScheduler::~LaneScheduler() {
  ::operator delete[](memory_, std::align_val_t{4096});
}

std::byte* LaneScheduler::threadgroup_memory() {
  // Loads of a vector may reach a little beyond the last byte that is used.
  if (!memory_)
    memory_ = static_cast<std::byte*>(
        ::operator new[](simt::kMemoryTogether + 4096, std::align_val_t{4096}));
  return memory_;
}

bool LaneScheduler::prepare(std::size_t threads, std::size_t stack_size, bool has_barrier) {
  // Without barriers one simdgroup after the other runs on the same stacks.
  const std::size_t simdgroups =
      has_barrier ? (threads + kSimdgroupSize - 1) / kSimdgroupSize : std::size_t{1};
  if (groups_.size() < simdgroups) {
    groups_.resize(simdgroups);
    lanes_.resize(simdgroups * kSimdgroupSize);
  }
  // The run time's own functions run on these stacks too.
  return stacks_.require(std::min(threads, simdgroups * kSimdgroupSize), stack_size + 8192);
}

// A fiber knows its scheduler through its simdgroup: no thread-local storage in a fiber, which the
// compiler may have read on another stack.
void LaneScheduler::fiber_main(void* argument) {
  auto* lane = static_cast<Lane*>(argument);
  Simdgroup& group = *lane->simdgroup;
  const auto* scheduler = static_cast<LaneScheduler*>(group.scheduler);
  if (group.observer)
    group.observer->on_start(*lane);
  scheduler->entry_(scheduler->launch_, scheduler->threadgroup_, lane);
  const std::uint32_t bit = 1u << lane->index_in_simdgroup;
  group.live &= ~bit;
  group.runnable &= ~bit;
  void* unused = nullptr;
  metalwright_switch(&unused, next_stack_pointer(group));
  __builtin_unreachable();
}

void LaneScheduler::start_lanes(Simdgroup& group, unsigned simdgroup, unsigned stack,
                                unsigned count, const simt::ThreadgroupContext& threadgroup) {
  group.live = group.runnable = all_lanes(count);
  group.at_barrier = group.diverged = false;
  group.scheduler = this;
  group.observer = observer_;
  group.scheduler_stack_pointer = &scheduler_stack_pointer_;
  group.lanes = &lanes_[stack];
  for (unsigned i = 0; i < count; ++i) {
    Lane& lane = group.lanes[i];
    const unsigned index = simdgroup * kSimdgroupSize + i;
    lane.position_in_threadgroup[0] = index % threadgroup.threads[0];
    lane.position_in_threadgroup[1] = index / threadgroup.threads[0] % threadgroup.threads[1];
    lane.position_in_threadgroup[2] = index / threadgroup.threads[0] / threadgroup.threads[1];
    lane.index_in_threadgroup = index;
    lane.index_in_simdgroup = i;
    lane.simdgroup_index = simdgroup;
    lane.simdgroup = &group;
    lane.stack_pointer = prepare_fiber(stacks_.top(stack + i), &fiber_main, &lane);
  }
}

void LaneScheduler::run_until_blocked(Simdgroup& group, ThreadState& thread) {
  // For the handler that must run the caller's hook on this stack. The first switch of a run has no
  // saved stack pointer yet: this frame's address will do.
  thread.own_stack_pointer = __builtin_frame_address(0);
  metalwright_switch(&scheduler_stack_pointer_,
                     group.lanes[std::countr_zero(group.runnable)].stack_pointer);
  thread.own_stack_pointer = nullptr;
}

bool LaneScheduler::release_barrier(unsigned groups, Failure& failure,
                                    const simt::ThreadgroupContext& threadgroup) {
  auto fail = [&](const Simdgroup& group, std::uint32_t other) {
    if (failure.set(Failure::Kind::divergent_barrier)) {
      failure.site = group.barrier_site;
      failure.other_site = other;
      std::copy_n(threadgroup.position, 3, failure.threadgroup);
    }
    return false;
  };
  const auto waiting = std::find_if(groups_.begin(), groups_.begin() + groups,
                                    [](const Simdgroup& group) { return group.at_barrier; });
  for (unsigned i = 0; i < groups; ++i) {
    const Simdgroup& group = groups_[i];
    if (group.diverged || group.live != all_lanes(lanes_in(threadgroup, i)) ||
        group.barrier_site != waiting->barrier_site)
      report_divergence(groups, threadgroup);
    if (group.diverged)
      return fail(group, group.other_site);
    // A thread that has returned never comes.
    const std::uint32_t all = all_lanes(lanes_in(threadgroup, i));
    if (group.live != all)
      return fail(*waiting, ~0u);
    if (group.barrier_site != waiting->barrier_site)
      return fail(*waiting, group.barrier_site);
  }
  if (observer_)
    observer_->on_barrier(waiting->barrier_site);
  for (unsigned i = 0; i < groups; ++i) {
    groups_[i].at_barrier = false;
    groups_[i].runnable = groups_[i].live;
  }
  return true;
}

void LaneScheduler::report_divergence(unsigned groups,
                                      const simt::ThreadgroupContext& threadgroup) {
  if (!observer_)
    return;
  // A handful of places at most; the rest would not fit into a message either.
  LaneObserver::Party parties[8];
  std::size_t count = 0;
  for (unsigned i = 0; i < groups; ++i) {
    const Simdgroup& group = groups_[i];
    const unsigned lanes = lanes_in(threadgroup, i);
    for (unsigned lane = 0; lane < lanes; ++lane) {
      const bool returned = (group.live >> lane & 1) == 0;
      const std::uint32_t site = returned ? LaneObserver::kReturned : group.site[lane];
      auto* party = std::find_if(parties, parties + count,
                                 [&](const LaneObserver::Party& p) { return p.site == site; });
      if (party == parties + count) {
        if (count == std::size(parties))
          continue;
        *party = {site, !returned && group.combine[lane] == &barrier_mark, 0,
                  i * kSimdgroupSize + lane};
        ++count;
      }
      ++party->count;
    }
  }
  observer_->on_divergence({parties, count});
}

bool LaneScheduler::run(simt::LaneEntry* entry, const simt::LaunchContext& launch,
                        const simt::ThreadgroupContext& threadgroup, bool has_barrier,
                        ThreadState& thread, Failure& failure) noexcept {
  entry_ = entry;
  launch_ = &launch;
  threadgroup_ = &threadgroup;
  const unsigned groups = (threads_in(threadgroup) + kSimdgroupSize - 1) / kSimdgroupSize;
  if (observer_)
    observer_->on_threadgroup(threadgroup);
  const bool reverse = observer_ && observer_->reverses_simdgroups();
  auto turn = [&](unsigned i) { return reverse ? groups - 1 - i : i; };
  if (!has_barrier) {
    for (unsigned n = 0; n < groups; ++n) {
      const unsigned i = turn(n);
      start_lanes(groups_[0], i, 0, lanes_in(threadgroup, i), threadgroup);
      run_until_blocked(groups_[0], thread);
    }
    return true;
  }
  for (unsigned i = 0; i < groups; ++i)
    start_lanes(groups_[i], i, i * kSimdgroupSize, lanes_in(threadgroup, i), threadgroup);
  for (;;) {
    bool waiting = false;
    for (unsigned n = 0; n < groups; ++n) {
      const unsigned i = turn(n);
      if (groups_[i].live != 0)
        run_until_blocked(groups_[i], thread);
      waiting |= groups_[i].at_barrier;
    }
    if (!waiting)
      return true;
    if (!release_barrier(groups, failure, threadgroup))
      return false;
  }
}

} // namespace metalwright::cpu
