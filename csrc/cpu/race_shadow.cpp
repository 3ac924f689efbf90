// Records of accesses and the order between them.
#include "cpu/race_shadow.h"

#include "simt/launch.h"

#include <algorithm>
#include <bit>

namespace metalwright::cpu {

void RaceClock::start_threadgroup(std::uint32_t group, unsigned threads) {
  group_ = group;
  ++now_;
  acquired_ = 0;
  barrier_[0] = barrier_[1] = 0;
  std::fill_n(met_.begin(), std::min<std::size_t>(threads, met_.size()), 0);
}

void RaceClock::meet(unsigned simdgroup, std::uint32_t there) {
  for (; there != 0; there &= there - 1)
    met_[simdgroup * simt::kSimdgroupSize + static_cast<unsigned>(std::countr_zero(there))] = now_;
  ++now_;
}

void RaceClock::barrier(bool threadgroup_memory, bool device_memory) {
  if (threadgroup_memory)
    barrier_[0] = now_;
  if (device_memory)
    barrier_[1] = now_;
  ++now_;
}

void RaceClock::fence() {
  acquired_ = now_;
  released_[group_] = now_;
  ++now_;
}

bool RaceClock::ordered(const AccessRecord& before, unsigned thread,
                        bool is_threadgroup_memory) const {
  if (before.group != group_) {
    if (is_threadgroup_memory)
      return true; // another threadgroup's, that lay at the same place
    // Threadgroups are ordered by fences on both sides (with an atomic operation between, which is
    // taken for granted).
    const auto released = released_.find(before.group);
    return released != released_.end() && released->second >= before.time &&
           acquired_ > released->second;
  }
  if (before.thread == thread || before.time <= barrier_[is_threadgroup_memory ? 0 : 1])
    return true;
  return before.thread / simt::kSimdgroupSize == thread / simt::kSimdgroupSize &&
         before.time <= met_[thread];
}

void RaceShadow::refine() {
  std::vector<Cell> finer(size_);
  for (std::uint64_t i = 0; i < size_; ++i)
    finer[i] = cells_[i / granule_];
  cells_ = std::move(finer);
  granule_ = 1;
}

bool RaceShadow::races(const AccessRecord& before, const AccessRecord& access,
                       const RaceClock& clock) const {
  return before.time != 0 && !(before.is_atomic && access.is_atomic) &&
         !clock.ordered(before, access.thread, is_threadgroup_);
}

std::optional<AccessRecord> RaceShadow::read(std::uint64_t offset, std::uint64_t size,
                                             const AccessRecord& access, const RaceClock& clock) {
  std::optional<AccessRecord> found;
  for (std::uint64_t i = offset / granule_; i * granule_ < offset + size; ++i) {
    Cell& cell = cells_[i];
    if (!found && races(cell.write, access, clock))
      found = cell.write;
    const AccessRecord& last = cell.reads[0];
    const bool same_thread = last.group == access.group && last.thread == access.thread;
    if (last.time != 0 && !same_thread) {
      const AccessRecord& other = cell.reads[1];
      // Of two to remember, one that no simdgroup function orders with the new one is worth more.
      const bool last_is_near =
          last.group == access.group &&
          last.thread / simt::kSimdgroupSize == access.thread / simt::kSimdgroupSize;
      const bool other_is_far = other.time != 0 && (other.group != access.group ||
                                                    other.thread / simt::kSimdgroupSize !=
                                                        access.thread / simt::kSimdgroupSize);
      if (!last_is_near || !other_is_far)
        cell.reads[1] = last;
    }
    cell.reads[0] = access;
  }
  return found;
}

std::optional<AccessRecord> RaceShadow::conflict(std::uint64_t offset, std::uint64_t size,
                                                 const AccessRecord& access, const RaceClock& clock,
                                                 bool& was_read) {
  for (std::uint64_t i = offset / granule_; i * granule_ < offset + size; ++i) {
    const Cell& cell = cells_[i];
    was_read = false;
    if (races(cell.write, access, clock))
      return cell.write;
    was_read = true;
    for (const AccessRecord& read : cell.reads)
      if (races(read, access, clock))
        return read;
  }
  return std::nullopt;
}

void RaceShadow::write(std::uint64_t offset, std::uint64_t size, const AccessRecord& access,
                       const RaceClock& clock) {
  for (std::uint64_t i = offset / granule_; i * granule_ < offset + size; ++i) {
    Cell& cell = cells_[i];
    // A write that changed nothing does not cover up one that did and is not ordered before it.
    if (!access.changed && cell.write.changed && races(cell.write, access, clock))
      continue;
    cell.write = access;
  }
}

} // namespace metalwright::cpu
