// Who read and wrote a piece of memory last, to find accesses that nothing orders.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

namespace metalwright::cpu {

// One access, as it is remembered.
struct AccessRecord {
  std::uint32_t time = 0;  // of RaceClock; 0: there was none
  std::uint32_t group = 0; // threadgroup, counted in the grid
  std::uint32_t site = 0;
  std::uint16_t thread = 0; // index in the threadgroup
  bool is_atomic = false;
  bool changed = true; // a write that gave the memory another value
};

// What orders accesses. Time goes on at each event that orders something.
class RaceClock {
 public:
  std::uint32_t now() const { return now_; }
  void start_threadgroup(std::uint32_t group, unsigned threads);
  // Lanes `there` of a simdgroup met.
  void meet(unsigned simdgroup, std::uint32_t there);
  // All threads of the threadgroup met; which memory that orders.
  void barrier(bool threadgroup_memory, bool device_memory);
  // A fence: what came before it in this threadgroup is seen by those that fence later.
  void fence();

  // Whether `before` is known to have happened before what `thread` of the current threadgroup does
  // now.
  bool ordered(const AccessRecord& before, unsigned thread, bool is_threadgroup_memory) const;

 private:
  std::uint32_t now_ = 1;
  std::uint32_t group_ = 0;
  std::uint32_t barrier_[2] = {};         // threadgroup memory, device memory
  std::array<std::uint32_t, 1024> met_{}; // by thread: when it last met others of its simdgroup
  std::uint32_t acquired_ = 0;            // when the current threadgroup last fenced
  std::unordered_map<std::uint32_t, std::uint32_t> released_; // by threadgroup
};

// The records of one region. Granules are 4 bytes until an access needs finer ones.
class RaceShadow {
 public:
  explicit RaceShadow(std::uint64_t size, bool is_threadgroup_memory)
      : size_(size), is_threadgroup_(is_threadgroup_memory), cells_((size + 3) / 4) {}

  // A read of bytes [offset, offset + size): the write that it races with, if there is one.
  std::optional<AccessRecord> read(std::uint64_t offset, std::uint64_t size,
                                   const AccessRecord& access, const RaceClock& clock);
  // The access that a write there races with; `was_read`: that one only read.
  std::optional<AccessRecord> conflict(std::uint64_t offset, std::uint64_t size,
                                       const AccessRecord& access, const RaceClock& clock,
                                       bool& was_read);
  // Remembers a write, once it is known whether it changed anything.
  void write(std::uint64_t offset, std::uint64_t size, const AccessRecord& access,
             const RaceClock& clock);
  // Whether remembering an access needs memory: the caller prepares for that.
  bool must_refine(std::uint64_t offset, std::uint64_t size) const {
    return granule_ != 1 && (offset % granule_ != 0 || size % granule_ != 0);
  }
  void refine();

 private:
  struct Cell {
    AccessRecord write;
    AccessRecord reads[2]; // the last one, and the last of another simdgroup or at least thread
  };
  bool races(const AccessRecord& before, const AccessRecord& access, const RaceClock& clock) const;

  std::uint64_t size_;
  bool is_threadgroup_;
  std::uint64_t granule_ = 4;
  std::vector<Cell> cells_;
};

} // namespace metalwright::cpu
