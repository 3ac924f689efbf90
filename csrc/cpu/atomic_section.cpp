// A lock for all dispatches of the process that have atomic operations.
#include "cpu/atomic_section.h"

namespace metalwright::cpu {

static std::shared_mutex dispatches;
static thread_local bool is_inside = false;

AtomicSection::AtomicSection(bool has_atomics, bool wants_alone) {
  // What a signal's handler dispatches in the middle of another dispatch of this thread would wait
  // for itself.
  if (!has_atomics || is_inside)
    return;
  if (wants_alone)
    alone_ = std::unique_lock(dispatches, std::try_to_lock);
  if (!alone_)
    shared_ = std::shared_lock(dispatches);
  is_inside = true;
}

AtomicSection::~AtomicSection() {
  if (alone_ || shared_)
    is_inside = false;
}

} // namespace metalwright::cpu
