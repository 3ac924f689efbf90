// Simdgroups take turns at barriers; without barriers they run one after the other.
#include "cpu/simdgroup_scheduler.h"

#include "cpu/context_switch.h"

#include <algorithm>

namespace metalwright::cpu {

using simt::kSimdgroupSize;
using simt::SimdgroupState;

SimdgroupScheduler& SimdgroupScheduler::current() {
  thread_local SimdgroupScheduler scheduler;
  return scheduler;
}

// Only barriers need fibers; and a frame that not every thread's stack has room for.
static bool needs_fibers(std::size_t stack_size, bool has_barrier) {
  return has_barrier || stack_size > 128 * 1024;
}

bool SimdgroupScheduler::prepare(std::size_t threads, std::size_t stack_size, bool has_barrier) {
  const std::size_t simdgroups = (threads + kSimdgroupSize - 1) / kSimdgroupSize;
  if (states_.size() < simdgroups)
    states_.resize(simdgroups);
  return !needs_fibers(stack_size, has_barrier) || stacks_.require(simdgroups, stack_size + 8192);
}

void* SimdgroupScheduler::next(unsigned index) {
  if (index + 1 < count_)
    return states_[index + 1].stack_pointer;
  const SimdgroupState& first = states_[0];
  bool all_end = true;
  bool all_wait = true;
  for (unsigned i = 0; i < count_; ++i) {
    all_end &= !states_[i].running;
    all_wait &= states_[i].running && states_[i].barrier_site == first.barrier_site;
  }
  if (all_wait)
    return first.stack_pointer;
  if (!all_end) {
    const auto waiting = std::find_if(states_.begin(), states_.begin() + count_,
                                      [](const SimdgroupState& state) { return state.running; });
    diverge(*threadgroup_, waiting->barrier_site);
    for (unsigned i = 0; i < count_; ++i)
      if (states_[i].running && states_[i].barrier_site != site_)
        other_site_ = states_[i].barrier_site;
  }
  return stack_pointer_;
}

void SimdgroupScheduler::wait(SimdgroupState& state, std::uint32_t site, std::uint32_t here,
                              std::uint32_t all) noexcept {
  state.barrier_site = site;
  if (here != all) {
    diverge(*threadgroup_, site);
    metalwright_switch(&state.stack_pointer, stack_pointer_);
  }
  if (count_ > 1)
    metalwright_switch(&state.stack_pointer, next(state.index));
}

void metalwright_simdgroup_barrier(SimdgroupState* state, std::uint32_t site, std::uint32_t here,
                                   std::uint32_t all) noexcept {
  static_cast<SimdgroupScheduler*>(state->scheduler)->wait(*state, site, here, all);
}

void SimdgroupScheduler::diverge(const simt::ThreadgroupContext& threadgroup,
                                 std::uint32_t site) noexcept {
  if (diverged_)
    return;
  diverged_ = true;
  site_ = site;
  other_site_ = ~0u;
  std::copy_n(threadgroup.position, 3, position_.begin());
}

void metalwright_simdgroup_diverged(SimdgroupState* state,
                                    const simt::ThreadgroupContext* threadgroup,
                                    std::uint32_t site) noexcept {
  static_cast<SimdgroupScheduler*>(state->scheduler)->diverge(*threadgroup, site);
}

// No thread-local storage in a fiber, which the compiler may have read on another stack.
void SimdgroupScheduler::fiber_main(void* argument) {
  auto* state = static_cast<SimdgroupState*>(argument);
  auto* scheduler = static_cast<SimdgroupScheduler*>(state->scheduler);
  scheduler->entry_(scheduler->launch_, scheduler->threadgroup_, state);
  state->running = false;
  metalwright_switch(&state->stack_pointer, scheduler->next(state->index));
  __builtin_unreachable();
}

bool SimdgroupScheduler::run(simt::SimdgroupEntry* entry, const simt::LaunchContext& launch,
                             const simt::ThreadgroupContext& threadgroup, ThreadState& thread,
                             Failure& failure, std::size_t stack_size, bool has_barrier,
                             bool is_joined) noexcept {
  const unsigned threads = threadgroup.threads[0] * threadgroup.threads[1] * threadgroup.threads[2];
  count_ = is_joined ? 1 : (threads + kSimdgroupSize - 1) / kSimdgroupSize;
  diverged_ = false;
  if (needs_fibers(stack_size, has_barrier)) {
    run_fibers(entry, launch, threadgroup, thread);
  } else {
    SimdgroupState state;
    state.shared = shared_->bytes.data();
    state.scheduler = this;
    for (unsigned i = 0; i < count_; ++i) {
      state.index = i;
      state.lanes = std::min(kSimdgroupSize, threads - i * kSimdgroupSize);
      entry(&launch, &threadgroup, &state);
    }
  }
  if (!diverged_)
    return true;
  if (failure.set(Failure::Kind::divergent_barrier)) {
    failure.site = site_;
    failure.other_site = other_site_;
    std::copy(position_.begin(), position_.end(), failure.threadgroup);
  }
  return false;
}

void SimdgroupScheduler::run_fibers(simt::SimdgroupEntry* entry, const simt::LaunchContext& launch,
                                    const simt::ThreadgroupContext& threadgroup,
                                    ThreadState& thread) noexcept {
  const unsigned threads = threadgroup.threads[0] * threadgroup.threads[1] * threadgroup.threads[2];
  entry_ = entry;
  launch_ = &launch;
  threadgroup_ = &threadgroup;
  for (unsigned i = 0; i < count_; ++i) {
    SimdgroupState& state = states_[i];
    state.index = i;
    state.lanes = std::min(kSimdgroupSize, threads - i * kSimdgroupSize);
    state.shared = shared_->bytes.data();
    state.scheduler = this;
    state.running = true;
    state.stack_pointer = prepare_fiber(stacks_.top(i), &fiber_main, &state);
  }
  // For the handler that must run the caller's hook on this stack. The first switch of a run has no
  // saved stack pointer yet: this frame's address will do.
  thread.own_stack_pointer = __builtin_frame_address(0);
  metalwright_switch(&stack_pointer_, states_[0].stack_pointer);
  thread.own_stack_pointer = nullptr;
}

} // namespace metalwright::cpu
