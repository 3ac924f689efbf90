// Which dispatches with atomic operations may run at the same time.
#pragma once

#include <mutex>
#include <shared_mutex>

namespace metalwright::cpu {

// Exists while a dispatch runs. One whose atomic operations are plain ones (Shape::is_alone) must
// be the only one that has any: another could change the same memory.
class AtomicSection {
 public:
  // Waits for a dispatch that is alone; `wants_alone` waits for nobody, and is_alone() says whether
  // it is.
  AtomicSection(bool has_atomics, bool wants_alone);
  ~AtomicSection();
  AtomicSection(const AtomicSection&) = delete;
  AtomicSection& operator=(const AtomicSection&) = delete;

  bool is_alone() const { return alone_.owns_lock(); }

 private:
  std::unique_lock<std::shared_mutex> alone_;
  std::shared_lock<std::shared_mutex> shared_;
};

} // namespace metalwright::cpu
