// Signal handlers, the watchdog thread, and entering and leaving sections.
#include "cpu/guarded_section.h"

#include "cpu/context_switch.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

namespace metalwright::cpu {

std::int64_t now_nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

namespace {

constexpr int kStopSignal = SIGURG;
constexpr int kFaults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
constexpr std::size_t kSignalStackSize = 64 * 1024;

// Plain thread-local pointer with the cheapest access: a handler must not allocate.
__attribute__((tls_model("initial-exec"))) thread_local ThreadState* current_state = nullptr;

struct sigaction previous_actions[65];

std::uintptr_t stack_pointer(const void* context) {
  const auto* registers = &static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(registers->gregs[REG_RSP]);
#else
  return static_cast<std::uintptr_t>(registers->sp);
#endif
}

// Where the interrupted thread was, for the one whose failure counts.
void note_place(Failure& failure, const void* context) {
  const auto* registers = &static_cast<const ucontext_t*>(context)->uc_mcontext;
  failure.stack_pointer = stack_pointer(context);
#if defined(__x86_64__)
  failure.instruction = static_cast<std::uintptr_t>(registers->gregs[REG_RIP]);
#else
  failure.instruction = static_cast<std::uintptr_t>(registers->pc);
  failure.return_address = static_cast<std::uintptr_t>(registers->regs[30]);
#endif
}

void unblock(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void call_previous(int signal, siginfo_t* info, void* context) {
  const struct sigaction& previous = previous_actions[signal];
  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler == SIG_DFL) {
    if (signal == kStopSignal)
      return; // ignored by default
    // Returning repeats the fault, now with the default action; a sent signal has to be sent again.
    struct sigaction standard{};
    standard.sa_handler = SIG_DFL;
    sigaction(signal, &standard, nullptr);
    if (info->si_code <= 0)
      raise(signal);
  } else if (previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  }
}

} // namespace

// ------------------------------------------------------------------------------ the handlers

struct ThreadState::Handlers {
  [[noreturn]] static void leave(ThreadState& state, int signal) {
    state.inside_ = false;
    unblock(signal); // what returning from the handler would have done
    metalwright_leave(state.saved_, 1);
  }

  static void call_hook(void* argument) { poll(*static_cast<Supervision*>(argument)); }

  static void on_fault(int signal, siginfo_t* info, void* context) {
    ThreadState* state = current_state;
    Supervision* supervision = state && state->inside_ ? state->supervision_.load() : nullptr;
    if (!supervision)
      return call_previous(signal, info, context);
    const bool accesses = signal == SIGSEGV || signal == SIGBUS;
    if (supervision->failure.set(accesses ? Failure::Kind::memory_access : Failure::Kind::trap)) {
      supervision->failure.address = reinterpret_cast<std::uintptr_t>(info->si_addr);
      note_place(supervision->failure, context);
    }
    leave(*state, signal);
  }

  static void on_stop(int signal, siginfo_t* info, void* context) {
    const int saved_errno = errno;
    ThreadState* state = current_state;
    Supervision* supervision = state && state->inside_ ? state->supervision_.load() : nullptr;
    if (!supervision) {
      call_previous(signal, info, context);
      errno = saved_errno;
      return;
    }
    if (state->busy) {
      errno = saved_errno;
      return;
    }
    const std::int64_t now = now_nanoseconds();
    if (now >= supervision->deadline)
      supervision->failure.set(Failure::Kind::deadline);
    if (!supervision->failure.any() && state->is_caller_ && now >= supervision->next_poll) {
      state->inside_ = false; // a fault in the hook is not the kernel's
      void* own = state->own_stack_pointer;
      std::uintptr_t top = own ? reinterpret_cast<std::uintptr_t>(own) : stack_pointer(context);
      top = (top - 4096) & ~std::uintptr_t{15}; // clear of the red zone and of a switch in progress
      metalwright_call_on(reinterpret_cast<void*>(top), &call_hook, supervision);
      state->inside_ = true;
    }
    if (supervision->failure.any())
      leave(*state, signal);
    errno = saved_errno;
  }
};

void install_signal_handlers() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  auto install = [](int signal, void (*handler)(int, siginfo_t*, void*)) {
    struct sigaction current{};
    sigaction(signal, nullptr, &current);
    if ((current.sa_flags & SA_SIGINFO) && current.sa_sigaction == handler)
      return;
    previous_actions[signal] = current;
    struct sigaction action{};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
  };
  for (int signal : kFaults)
    install(signal, &ThreadState::Handlers::on_fault);
  install(kStopSignal, &ThreadState::Handlers::on_stop);
}

// ------------------------------------------------------------------------------ the watchdog

// Looks after threads inside sections that have a deadline or a hook. Sleeps without a timeout
// while there are none; never takes part in entering a section but to be woken then.
class Watchdog {
 public:
  static Watchdog& instance() {
    // Never destroyed: threads may outlive static destruction.
    static Watchdog* watchdog = new Watchdog;
    return *watchdog;
  }

  void add(ThreadState* state) {
    const std::lock_guard lock(mutex_);
    states_.push_back(state);
  }
  void remove(ThreadState* state) {
    const std::lock_guard lock(mutex_);
    std::erase(states_, state);
  }

  // After wake_at_ of some thread was set.
  void notice() {
    if (!asleep_.load(std::memory_order_seq_cst))
      return;
    const std::lock_guard lock(mutex_);
    if (!started_) {
      started_ = true;
      start();
    }
    asleep_.store(false);
    wake_.notify_one();
  }

  // In the child of a fork there is no watchdog thread and only the forking thread.
  void after_fork() {
    new (&mutex_) std::mutex;
    new (&wake_) std::condition_variable;
    started_ = false;
    asleep_.store(true);
    states_.clear();
    if (current_state) {
      current_state->thread_id_ = static_cast<pid_t>(syscall(SYS_gettid));
      states_.push_back(current_state);
    }
  }

 private:
  Watchdog() {
    pthread_atfork(nullptr, nullptr, [] { instance().after_fork(); });
  }

  void start() {
    // Signals meant for the program's own threads are not for this one.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread([this] { loop(); }).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void loop() {
    pthread_setname_np(pthread_self(), "mw-watchdog");
    std::unique_lock lock(mutex_);
    int idle_rounds = 0;
    for (;;) {
      const std::int64_t now = now_nanoseconds();
      std::int64_t next = INT64_MAX;
      for (ThreadState* state : states_) {
        const std::int64_t wake_at = state->wake_at_.load(std::memory_order_seq_cst);
        if (wake_at <= now) {
          syscall(SYS_tgkill, getpid(), state->thread_id_, kStopSignal);
          next = std::min(next, now + 5'000'000); // again soon, should it still be there
        } else {
          next = std::min(next, wake_at);
        }
      }
      // Stay awake a while: a program that dispatches in a loop should not pay for waking us each
      // time.
      idle_rounds = next == INT64_MAX ? idle_rounds + 1 : 0;
      if (idle_rounds > 10) {
        asleep_.store(true, std::memory_order_seq_cst);
        if (!any_armed())
          wake_.wait(lock, [this] { return !asleep_.load(); });
        asleep_.store(false);
        idle_rounds = 0;
        continue;
      }
      // Never past the next tick: a nearer deadline may be set while we sleep.
      wake_.wait_for(lock, std::chrono::nanoseconds(
                               std::clamp<std::int64_t>(next - now, 1'000'000, 10'000'000)));
    }
  }

  bool any_armed() const {
    return std::any_of(states_.begin(), states_.end(), [](const ThreadState* state) {
      return state->wake_at_.load(std::memory_order_seq_cst) != INT64_MAX;
    });
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<ThreadState*> states_;
  std::atomic<bool> asleep_{true};
  bool started_ = false;
};

// ------------------------------------------------------------------------------ threads

ThreadState::ThreadState() : thread_id_(static_cast<pid_t>(syscall(SYS_gettid))) {
  // A stack for handlers, unless the thread has one that is large enough.
  stack_t present{};
  sigaltstack(nullptr, &present);
  if ((present.ss_flags & SS_DISABLE) || present.ss_size < kSignalStackSize) {
    signal_stack_ = mmap(nullptr, kSignalStackSize, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (signal_stack_ == MAP_FAILED) {
      signal_stack_ = nullptr;
    } else {
      stack_t stack{};
      stack.ss_sp = signal_stack_;
      stack.ss_size = kSignalStackSize;
      sigaltstack(&stack, nullptr);
    }
  }
  current_state = this;
  Watchdog::instance().add(this);
}

ThreadState::~ThreadState() {
  Watchdog::instance().remove(this);
  current_state = nullptr;
  if (signal_stack_) {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
    munmap(signal_stack_, kSignalStackSize);
  }
}

ThreadState& ThreadState::current() {
  if (current_state)
    return *current_state;
  thread_local ThreadState state;
  return state;
}

void ThreadState::poll(Supervision& supervision) {
  const std::int64_t now = now_nanoseconds();
  if (!supervision.interrupted || now < supervision.next_poll)
    return;
  if ((*supervision.interrupted)())
    supervision.failure.set(Failure::Kind::interrupted);
  supervision.next_poll = now_nanoseconds() + kPollInterval;
  if (current_state->wake_at_.load() != INT64_MAX)
    current_state->wake_at_.store(std::min(supervision.deadline, supervision.next_poll));
}

void ThreadState::stop(const Supervision& supervision) {
  if (supervision_.load(std::memory_order_seq_cst) == &supervision)
    syscall(SYS_tgkill, getpid(), thread_id_, kStopSignal);
}

bool ThreadState::run(Supervision& supervision, bool is_caller, void (*function)(void*),
                      void* argument) {
  struct Call {
    ThreadState* state;
    void (*function)(void*);
    void* argument;
  } call{this, function, argument};
  is_caller_ = is_caller;
  supervision_.store(&supervision, std::memory_order_seq_cst);
  const std::int64_t wake_at =
      std::min(supervision.deadline, is_caller ? supervision.next_poll : INT64_MAX);
  if (wake_at != INT64_MAX) {
    wake_at_.store(wake_at, std::memory_order_seq_cst);
    Watchdog::instance().notice();
  }
  const int left = metalwright_enter(
      &saved_,
      [](void* pointer) {
        auto* inner = static_cast<Call*>(pointer);
        inner->state->inside_ = true;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        inner->function(inner->argument);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        inner->state->inside_ = false;
      },
      &call);
  own_stack_pointer = nullptr;
  busy = false;
  if (wake_at != INT64_MAX)
    wake_at_.store(INT64_MAX, std::memory_order_seq_cst);
  supervision_.store(nullptr, std::memory_order_seq_cst);
  return left == 0;
}

} // namespace metalwright::cpu
