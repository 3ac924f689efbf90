// Cuts a grid into units and runs them.
#include "cpu/grid_job.h"

#include "cpu/simdgroup_scheduler.h"

#include <algorithm>
#include <bit>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace metalwright::cpu {

// What an observer may use of a fiber's stack: it makes texts.
static constexpr std::size_t kHookStack = 64 * 1024;

// Rows of threadgroups that the simdgroup engine runs together, column by column: threadgroups that
// share tiles of a product's two operands follow each other while both are in the cache, as they
// run side by side on a GPU.
static constexpr std::uint32_t kBand = 4;

struct GridJob::Worker {
  GridJob* job;
  ThreadState* thread;
  unsigned part; // that it begins with
  LaneScheduler* scheduler;
  SimdgroupScheduler* simdgroups;
  simt::ThreadgroupContext threadgroup;
};

GridJob::GridJob(const Executable& code, const Executable& edge, const simt::LaunchContext& launch,
                 Supervision& supervision, std::uint64_t threads_per_unit)
    : code_(code), edge_(edge), failed_(&code), launch_(launch), supervision_(supervision) {
  const std::uint32_t* grid = launch.threads_per_grid;
  if (code.over_grid) {
    rows_ = std::uint64_t{grid[1]} * grid[2];
    // A power of two, so that no unit crosses 2^31 (launch.h); at least 64, so that vectors stay
    // whole.
    const std::uint64_t size =
        std::bit_ceil(std::clamp<std::uint64_t>(threads_per_unit, 64, 1u << 30));
    x_per_unit_ = std::min<std::uint64_t>(size, grid[0]);
    units_per_row_ = (grid[0] + x_per_unit_ - 1) / x_per_unit_;
    rows_per_unit_ = units_per_row_ > 1 ? 1 : std::max<std::uint64_t>(1, size / grid[0]);
    units_ = units_per_row_ * ((rows_ + rows_per_unit_ - 1) / rows_per_unit_);
    return;
  }
  const std::uint32_t* groups = launch.threadgroups_per_grid;
  const std::uint32_t* threads = launch.dispatch_threads_per_threadgroup;
  calls_along_x_ = groups[0] / code.threadgroups;
  band_ = code.engine == simt::Engine::simdgroup ? kBand : 1;
  calls_ = calls_along_x_ * groups[1] * groups[2];
  const std::uint64_t per_call =
      std::uint64_t{threads[0]} * threads[1] * threads[2] * code.threadgroups;
  calls_per_unit_ = std::max<std::uint64_t>(1, threads_per_unit / per_call);
  units_ = (calls_ + calls_per_unit_ - 1) / calls_per_unit_;
}

void GridJob::reset(unsigned threads) {
  units_per_take_ = (units_ + kMostTakes - 1) / kMostTakes;
  const std::uint64_t takes = units_ == 0 ? 0 : (units_ + units_per_take_ - 1) / units_per_take_;
  parts_ = std::clamp(threads, 1u, kMostParts);
  for (unsigned i = 0; i < parts_; ++i) {
    part_[i].range.store(takes * i / parts_ | takes * (i + 1) / parts_ << 32,
                         std::memory_order_relaxed);
    part_[i].is_begun.store(false, std::memory_order_relaxed);
  }
}

// The member's own part, or one that nobody begins with: fewer threads than the team has may share
// a job, and they are not always its first.
unsigned GridJob::begin_part(unsigned member) {
  const unsigned own = member % parts_;
  for (unsigned i = 0; i < parts_; ++i) {
    const unsigned part = (own + i) % parts_;
    if (!part_[part].is_begun.exchange(true, std::memory_order_relaxed))
      return part;
  }
  return own;
}

// The next of this part, else the last of another one.
bool GridJob::take(unsigned part, std::uint64_t& number) {
  for (unsigned i = 0; i < parts_; ++i) {
    std::atomic<std::uint64_t>& range = part_[(part + i) % parts_].range;
    std::uint64_t now = range.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint64_t first = now & 0xffffffff;
      const std::uint64_t end = now >> 32;
      if (first >= end)
        break;
      const std::uint64_t rest = i == 0 ? (first + 1) | end << 32 : first | (end - 1) << 32;
      if (range.compare_exchange_weak(now, rest, std::memory_order_relaxed)) {
        number = i == 0 ? first : end - 1;
        return true;
      }
    }
  }
  return false;
}

void GridJob::work(ThreadState& thread, unsigned member) {
  Worker worker{this, &thread, begin_part(member), nullptr, nullptr, {}};
  if (!code_.over_grid) {
    worker.scheduler = &LaneScheduler::current();
    // Instrumented code has no addresses of threadgroup memory, only regions.
    worker.threadgroup.memory = observer_ ? nullptr : worker.scheduler->threadgroup_memory();
    worker.scheduler->observe(observer_);
    const std::uint32_t* threads = launch_.dispatch_threads_per_threadgroup;
    const std::size_t count = std::size_t{threads[0]} * threads[1] * threads[2];
    for (const Executable* code : {&code_, &edge_}) {
      const bool prepared =
          code->engine == simt::Engine::checked
              ? worker.scheduler->prepare(count, code->stack_size + (observer_ ? kHookStack : 0),
                                          code->has_barrier)
          : code->engine == simt::Engine::simdgroup
              ? SimdgroupScheduler::current().prepare(count, code->stack_size, code->has_barrier)
              : true;
      if (!prepared) {
        supervision_.failure.set(Failure::Kind::out_of_memory);
        return;
      }
    }
    worker.simdgroups = &SimdgroupScheduler::current();
  }
  const bool ended = thread.run(
      supervision_, member == 0,
      [](void* argument) {
        auto* self = static_cast<Worker*>(argument);
        self->job->run_units(*self);
      },
      &worker);
#if defined(__x86_64__)
  if (code_.streams)
    _mm_sfence();
#endif
  if (worker.scheduler)
    worker.scheduler->observe(nullptr);
  if (!ended)
    ThreadPool::instance().stop_others(*this);
}

void GridJob::run_units(Worker& worker) {
  std::uint64_t number = 0;
  while (take(worker.part, number)) {
    const std::uint64_t end = std::min((number + 1) * units_per_take_, units_);
    for (std::uint64_t unit = number * units_per_take_; unit < end; ++unit) {
      if (supervision_.failure.any())
        return;
      if (code_.over_grid)
        run_rows(unit);
      else if (!run_threadgroups(worker, unit))
        return;
    }
  }
}

void GridJob::run_rows(std::uint64_t unit) {
  auto* entry = reinterpret_cast<simt::LoopEntry*>(code_.entry);
  const std::uint64_t row = unit / units_per_row_ * rows_per_unit_;
  const std::uint64_t x = unit % units_per_row_ * x_per_unit_;
  const std::uint64_t end = std::min<std::uint64_t>(x + x_per_unit_, launch_.threads_per_grid[0]);
  entry(&launch_, nullptr, row, std::min(row + rows_per_unit_, rows_),
        static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(end - x));
}

GridJob::Place GridJob::place_of(std::uint64_t call) const {
  const std::uint32_t* groups = launch_.threadgroups_per_grid;
  const std::uint64_t slice = calls_along_x_ * groups[1];
  const std::uint64_t in_slice = call % slice;
  Place place;
  place.z = static_cast<std::uint32_t>(call / slice);
  place.top = static_cast<std::uint32_t>(in_slice / (calls_along_x_ * band_) * band_);
  place.height = std::min(band_, groups[1] - place.top);
  const std::uint64_t in_band = in_slice - std::uint64_t{place.top} * calls_along_x_;
  place.x = static_cast<std::uint32_t>(in_band / place.height);
  place.y = static_cast<std::uint32_t>(place.top + in_band % place.height);
  return place;
}

void GridJob::go_on(Place& place) const {
  if (++place.y < place.top + place.height)
    return;
  if (++place.x < calls_along_x_) {
    place.y = place.top;
    return;
  }
  place.x = 0;
  place.top += place.height;
  const std::uint32_t rows = launch_.threadgroups_per_grid[1];
  if (place.top == rows) {
    place.top = 0;
    ++place.z;
  }
  place.height = std::min(band_, rows - place.top);
  place.y = place.top;
}

bool GridJob::run_threadgroups(Worker& worker, std::uint64_t unit) {
  const std::uint64_t first = unit * calls_per_unit_;
  const std::uint64_t end = std::min(first + calls_per_unit_, calls_);
  // Divisions for each would take longer than a small threadgroup.
  Place place = place_of(first);
  for (std::uint64_t i = first; i < end; ++i) {
    if (!order_.empty())
      place = place_of(order_[i]);
    if (!run_threadgroup(worker, place))
      return false;
    go_on(place);
  }
  return true;
}

bool GridJob::run_threadgroup(Worker& worker, const Place& place) {
  simt::ThreadgroupContext& group = worker.threadgroup;
  group.position[0] = place.x * code_.threadgroups;
  group.position[1] = place.y;
  group.position[2] = place.z;
  std::uint64_t origin[3];
  bool is_whole = true;
  for (unsigned axis = 0; axis < 3; ++axis) {
    const std::uint32_t nominal = launch_.dispatch_threads_per_threadgroup[axis];
    origin[axis] = std::uint64_t{group.position[axis]} * nominal;
    // Threadgroups at the grid's edge are smaller.
    const std::uint64_t rest = launch_.threads_per_grid[axis] - origin[axis];
    is_whole &= nominal <= rest;
    group.threads[axis] = static_cast<std::uint32_t>(std::min<std::uint64_t>(nominal, rest));
  }
  const Executable& code = is_whole ? code_ : edge_;
  if (code.engine != simt::Engine::vector_loop) {
    const bool ended =
        code.engine == simt::Engine::checked
            ? worker.scheduler->run(reinterpret_cast<simt::LaneEntry*>(code.entry), launch_, group,
                                    code.has_barrier, *worker.thread, supervision_.failure)
            : worker.simdgroups->run(reinterpret_cast<simt::SimdgroupEntry*>(code.entry), launch_,
                                     group, *worker.thread, supervision_.failure, code.stack_size,
                                     code.has_barrier, code.is_joined);
    if (!ended)
      failed_ = &code;
    return ended;
  }
  auto* entry = reinterpret_cast<simt::LoopEntry*>(code_.entry);
  const std::uint64_t rows = std::uint64_t{group.threads[1]} * group.threads[2];
  // A call must not cross 2^31 (launch.h).
  constexpr std::uint64_t kHalf = std::uint64_t{1} << 31;
  const std::uint64_t width = group.threads[0];
  if (origin[0] < kHalf && origin[0] + width > kHalf) {
    const auto low = static_cast<std::uint32_t>(kHalf - origin[0]);
    entry(&launch_, &group, 0, rows, 0, low);
    entry(&launch_, &group, 0, rows, low, static_cast<std::uint32_t>(width) - low);
  } else {
    entry(&launch_, &group, 0, rows, 0, static_cast<std::uint32_t>(width));
  }
  return true;
}

} // namespace metalwright::cpu
