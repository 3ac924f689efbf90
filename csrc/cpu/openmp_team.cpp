// OpenMP through the four functions that GCC's and LLVM's runtimes both export.
#include "cpu/openmp_team.h"

#include <atomic>

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace metalwright::cpu {

namespace {

struct Runtime {
  void (*parallel)(void (*)(void*), void*, unsigned threads, unsigned flags);
  int (*max_threads)();
  int (*in_parallel)();
  int (*thread_number)();

  Runtime()
      : parallel(reinterpret_cast<decltype(parallel)>(dlsym(RTLD_DEFAULT, "GOMP_parallel"))),
        max_threads(
            reinterpret_cast<decltype(max_threads)>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"))),
        in_parallel(
            reinterpret_cast<decltype(in_parallel)>(dlsym(RTLD_DEFAULT, "omp_in_parallel"))),
        thread_number(
            reinterpret_cast<decltype(thread_number)>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"))) {}
  bool is_complete() const { return parallel && max_threads && in_parallel && thread_number; }
};

// Set once it is found: torch may be imported after the first dispatch.
const Runtime* find_runtime() {
  static std::atomic<const Runtime*> found{nullptr};
  const Runtime* runtime = found.load(std::memory_order_acquire);
  if (runtime)
    return runtime;
  const Runtime now;
  if (!now.is_complete())
    return nullptr;
  static const Runtime kept = now;
  found.store(&kept, std::memory_order_release);
  return &kept;
}

// Whether this process has no thread but this one. False too where that cannot be read.
bool is_alone() {
  DIR* tasks = opendir("/proc/self/task");
  if (!tasks)
    return false;
  unsigned count = 0;
  while (const dirent* entry = readdir(tasks))
    count += entry->d_name[0] != '.';
  closedir(tasks);
  return count == 1;
}

// A fork takes the runtime's data along, but not the threads: whoever starts a parallel region in
// the child waits for them forever. A parent that was alone had none. Watched from when the
// extension is loaded, since a fork may come before the first dispatch.
struct Forks {
  static inline bool parent_was_alone = false;
  static inline bool has_lost_team = false;

  Forks() {
    pthread_atfork([] { parent_was_alone = is_alone(); }, nullptr,
                   [] { has_lost_team = has_lost_team || !parent_was_alone; });
  }
};
const Forks forks;

} // namespace

// Null if this thread cannot use it, or its team has fewer than `threads`.
static const Runtime* usable_runtime(unsigned threads) {
  if (Forks::has_lost_team || syscall(SYS_gettid) != getpid())
    return nullptr;
  const Runtime* runtime = find_runtime();
  if (!runtime || runtime->in_parallel() != 0)
    return nullptr;
  const int team = runtime->max_threads();
  return team >= 0 && static_cast<unsigned>(team) >= threads ? runtime : nullptr;
}

bool has_openmp_team(unsigned threads) {
  return usable_runtime(threads) != nullptr;
}

bool run_on_openmp_team(unsigned threads, void (*function)(void*, unsigned), void* argument) {
  const Runtime* runtime = usable_runtime(threads);
  if (!runtime)
    return false;
  struct Call {
    const Runtime* runtime;
    void (*function)(void*, unsigned);
    void* argument;
  } call{runtime, function, argument};
  const auto member = [](void* data) {
    const auto& [of, to_call, with] = *static_cast<const Call*>(data);
    to_call(with, static_cast<unsigned>(of->thread_number()));
  };
  // The whole team, as torch's operators use it: another number would end threads, or start some.
  runtime->parallel(member, &call, static_cast<unsigned>(runtime->max_threads()), 0);
  return true;
}

} // namespace metalwright::cpu
