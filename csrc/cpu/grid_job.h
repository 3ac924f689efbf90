// One run of a kernel over its grid, in units that threads take.
#pragma once

#include "cpu/lane_scheduler.h"
#include "cpu/thread_pool.h"
#include "simt/kernel_code.h"
#include "simt/launch.h"

#include <array>
#include <atomic>
#include <span>

namespace metalwright::cpu {

// What a job needs to know of compiled code.
struct Executable {
  void* entry = nullptr; // a LoopEntry, a LaneEntry or a SimdgroupEntry
  simt::Engine engine = simt::Engine::vector_loop;
  bool over_grid = false;
  bool has_barrier = false;
  bool is_joined = false;    // a SimdgroupEntry that runs all simdgroups of the threadgroup
  unsigned threadgroups = 1; // that a call runs, one behind the other along x
  bool streams = false;      // some stores leave the cache out: a fence is due at the end
  std::size_t stack_size = 0;
};

class GridJob final : public Job {
 public:
  // `edge` runs the threadgroups that the grid's edge makes smaller, `code` all others, of which
  // there are multiples along x of those that a call runs.
  // `threads_per_unit`: about how many threads are worth handing out at a time.
  GridJob(const Executable& code, const Executable& edge, const simt::LaunchContext& launch,
          Supervision& supervision, std::uint64_t threads_per_unit);

  // For code of the checked engine that is instrumented, on one thread: `observer` is told what
  // happens, and threadgroups run in the order of `order` (empty: their own).
  void observe(LaneObserver& observer, std::span<const std::uint64_t> order) {
    observer_ = &observer;
    order_ = order;
    band_ = 1;
  }

  std::uint64_t units() const { return units_; }
  void reset(unsigned threads) override;
  void work(ThreadState& thread, unsigned member) override;
  Supervision& supervision() override { return supervision_; }
  // The code whose barrier diverged.
  const Executable& failed() const { return *failed_.load(); }

 private:
  struct Worker;
  // Units that one thread begins with. It takes them from the front; threads that have none left
  // take from the back, so that each core goes through memory in one direction, in its own part.
  // The same thread begins with the same part each time, and with the one that torch's operators
  // give it: what the core's caches hold is used again.
  struct alignas(64) Part {
    std::atomic<std::uint64_t> range{0}; // the first in the lower half, the end in the upper one
    std::atomic<bool> is_begun{false};
  };
  static constexpr unsigned kMostParts = 16; // then some threads share one
  static constexpr std::uint64_t kMostTakes = std::uint64_t{1} << 31;

  unsigned begin_part(unsigned member);
  bool take(unsigned part, std::uint64_t& number);
  void run_units(Worker& worker);
  void run_rows(std::uint64_t unit);
  // Of a call, in calls along x: columns of a band of rows, band by band.
  struct Place {
    std::uint32_t x, y, z;
    std::uint32_t top, height; // of the band
  };
  Place place_of(std::uint64_t call) const;
  void go_on(Place& place) const;
  bool run_threadgroups(Worker& worker, std::uint64_t unit);
  bool run_threadgroup(Worker& worker, const Place& place);

  const Executable& code_;
  const Executable& edge_;
  std::atomic<const Executable*> failed_;
  const simt::LaunchContext& launch_;
  Supervision& supervision_;
  std::uint64_t units_ = 0;
  // over_grid: a unit is `rows_per_unit_` whole rows, or `x_per_unit_` threads of one row.
  std::uint64_t rows_ = 0;
  std::uint64_t rows_per_unit_ = 1;
  std::uint64_t x_per_unit_ = 0;
  std::uint64_t units_per_row_ = 1;
  // otherwise: a number of calls.
  std::uint64_t calls_ = 0;
  std::uint64_t calls_along_x_ = 1;
  std::uint64_t calls_per_unit_ = 1;
  std::uint32_t band_ = 1; // rows
  LaneObserver* observer_ = nullptr;
  std::span<const std::uint64_t> order_;
  std::uint64_t units_per_take_ = 1;
  unsigned parts_ = 1;
  std::array<Part, kMostParts> part_;
};

} // namespace metalwright::cpu
