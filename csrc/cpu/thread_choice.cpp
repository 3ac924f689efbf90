// Tries the ways one after the other.
#include "cpu/thread_choice.h"

#include <algorithm>

namespace metalwright::cpu {

namespace {

// Dispatches before something is tried: the first ones find cold caches.
constexpr unsigned kFirst = 3;
constexpr unsigned kBoth = 12;    // dispatches until which two ways alternate
constexpr unsigned kAgain = 64;   // dispatches after which the other way is tried once more
constexpr double kLongest = 20e6; // nanoseconds that a trial may take
// How much longer one thread may take that plain operations will make up for it, which are up to
// four times as fast.
constexpr double kPromising = 3;
constexpr double kPromisingIfRare = 1.3;

} // namespace

void adapt(std::atomic<float>& cost, double measured) {
  const float before = cost.load(std::memory_order_relaxed);
  const auto now = static_cast<float>(measured);
  cost.store(before == 0 ? now : std::min(now, before * 0.75f + now * 0.25f),
             std::memory_order_relaxed);
}

Way ThreadChoice::next(unsigned helpers, double threads, bool is_rare) {
  const unsigned count = count_.fetch_add(1, std::memory_order_relaxed);
  const double together = cost(Way::together);
  const double alone = cost(Way::alone);
  const double plain = cost(Way::alone_plain);
  if (count < kFirst || together == 0)
    return Way::together;
  const auto try_if_short = [&](Way way, double known) {
    const double expected = known != 0 ? known : together * (helpers + 1);
    return expected * threads < kLongest ? way : Way::together;
  };
  if (alone == 0)
    return try_if_short(Way::alone, 0);
  const bool is_trial = count % kAgain == kAgain - 1;
  if (plain == 0) {
    if (alone < (is_rare ? kPromisingIfRare : kPromising) * together)
      return try_if_short(Way::alone_plain, alone);
    return is_trial ? try_if_short(Way::alone, alone) : Way::together;
  }
  const bool is_plain_better = plain < together;
  if (count < kBoth ? count % 2 == 0 : is_plain_better != is_trial)
    return try_if_short(Way::alone_plain, plain);
  return Way::together;
}

void ThreadChoice::took(Way way, double nanoseconds) {
  adapt(costs_[static_cast<unsigned>(way)], nanoseconds);
}

} // namespace metalwright::cpu
