// Running code that may never end or may fault, and getting the thread back.
//
// Kernel code carries no instrumentation. What stops it is a signal: a watchdog thread sends SIGURG
// (ignored by default, so that one that comes late does no harm) to threads that are inside a
// guarded section past their deadline or whose dispatch has failed elsewhere, and the handler
// leaves the section. SIGSEGV, SIGBUS, SIGFPE and SIGILL (SIGTRAP on arm64) inside a section end it
// the same way. Leaving is safe because kernel code holds no locks and owns nothing. Signals
// outside a section go to whoever handled them before us. Handlers run on an alternate stack, since
// the fault may be a stack's end.
//
// The caller's `interrupted` hook must run on the calling thread. When that thread is inside a
// section, the handler calls the hook: kernel code can be interrupted anywhere, so anything may be
// called, but on the thread's own stack (Python 3.14 checks), below what is in use.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include <sys/types.h>

namespace metalwright::cpu {

// Why a section was left, shared by the threads of a dispatch; the first reason counts.
struct Failure {
  enum class Kind : int {
    none,
    deadline,
    interrupted,
    memory_access,
    trap,
    divergent_barrier,
    out_of_memory
  };
  std::atomic<Kind> kind{Kind::none};
  std::uintptr_t address = 0; // memory_access
  // memory_access and trap: where the thread was. The return address is 0 where it is on the stack.
  std::uintptr_t instruction = 0;
  std::uintptr_t stack_pointer = 0;
  std::uintptr_t return_address = 0;
  unsigned site = 0;       // divergent_barrier
  unsigned other_site = 0; // ... and where the others are, or the same
  std::uint32_t threadgroup[3] = {};

  bool any() const { return kind.load(std::memory_order_acquire) != Kind::none; }
  // True for the caller that set it; only that one may fill in the rest.
  bool set(Kind why) {
    Kind none = Kind::none;
    return kind.compare_exchange_strong(none, why, std::memory_order_acq_rel);
  }
};

// What the watchdog and the handlers need to know about a dispatch.
struct Supervision {
  Failure failure;
  std::int64_t deadline = INT64_MAX; // CLOCK_MONOTONIC, nanoseconds
  const std::function<bool()>* interrupted = nullptr;
  std::int64_t next_poll = INT64_MAX; // of the hook; read and written by the calling thread alone
};

std::int64_t now_nanoseconds();
inline constexpr std::int64_t kPollInterval = 50'000'000;

// One per operating-system thread, made on first use.
class ThreadState {
 public:
  static ThreadState& current();

  // Runs function(argument) as a guarded section of the dispatch. False: it was left, and
  // `supervision.failure` says why. `is_caller`: this is the thread that called dispatch().
  bool run(Supervision& supervision, bool is_caller, void (*function)(void*), void* argument);

  // While fibers run, the stack pointer of the thread's own stack; null otherwise.
  void* volatile own_stack_pointer = nullptr;

  // While it is set the section is not left by a signal to stop: something is being allocated. The
  // watchdog asks again soon.
  volatile bool busy = false;

  // Calls the hook if it is time, and records the interruption. For the calling thread outside a
  // section.
  static void poll(Supervision& supervision);

  // Signals this thread if it is inside a section of `supervision`.
  void stop(const Supervision& supervision);

  // Not for use outside guarded_section.cpp.
  struct Handlers;
  ~ThreadState();

 private:
  friend struct Handlers;
  friend class Watchdog;
  ThreadState();

  void* saved_ = nullptr;
  volatile bool inside_ = false;
  bool is_caller_ = false;
  std::atomic<Supervision*> supervision_{nullptr};
  std::atomic<std::int64_t> wake_at_{INT64_MAX}; // when the watchdog should look at this thread
  pid_t thread_id_ = 0;
  void* signal_stack_ = nullptr;
};

// Makes sure that our handlers come first, also when another library has installed its own
// meanwhile.
void install_signal_handlers();

} // namespace metalwright::cpu
