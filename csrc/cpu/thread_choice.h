// Whether a kernel with atomic operations is faster on one thread.
#pragma once

#include <array>
#include <atomic>

namespace metalwright::cpu {

// How a dispatch runs.
enum class Way {
  together,    // on several threads
  alone,       // on one, with the same code
  alone_plain, // on one, with atomic operations as plain ones: code of its own (Shape::is_alone)
};

// Threads that meet at the same lines may be slower than one alone, so the ways are tried and the
// clock decides. May be asked by several threads.
class ThreadChoice {
 public:
  // The way of a dispatch of so many threads of the grid that could have `helpers` > 0 other
  // threads.
  // `is_rare`: the atomic operations are not what its threads usually do.
  Way next(unsigned helpers, double threads, bool is_rare);
  // What one thread of the grid took, in nanoseconds as the clock counts them.
  void took(Way way, double nanoseconds);

 private:
  float cost(Way way) const { return costs_[static_cast<unsigned>(way)].load(); }

  std::array<std::atomic<float>, 3> costs_{}; // 0: unknown
  std::atomic<unsigned> count_{0};            // dispatches
};

// A cost that was measured, as the next dispatch should expect it: slower ones count little.
void adapt(std::atomic<float>& cost, double measured);

} // namespace metalwright::cpu
