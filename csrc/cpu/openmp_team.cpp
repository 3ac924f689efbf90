// OpenMP through the three functions that GCC's and LLVM's runtimes both export.
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

  Runtime()
      : parallel(reinterpret_cast<decltype(parallel)>(dlsym(RTLD_DEFAULT, "GOMP_parallel"))),
        max_threads(
            reinterpret_cast<decltype(max_threads)>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"))),
        in_parallel(
            reinterpret_cast<decltype(in_parallel)>(dlsym(RTLD_DEFAULT, "omp_in_parallel"))) {}
  bool is_complete() const { return parallel && max_threads && in_parallel; }
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

bool run_on_openmp_team(unsigned threads, void (*function)(void*), void* argument) {
  if (Forks::has_lost_team || syscall(SYS_gettid) != getpid())
    return false;
  const Runtime* runtime = find_runtime();
  if (!runtime || runtime->in_parallel() != 0)
    return false;
  // The whole team, as torch's operators use it: another number would end threads, or start some.
  const int team = runtime->max_threads();
  if (team < 0 || static_cast<unsigned>(team) < threads)
    return false;
  runtime->parallel(function, argument, static_cast<unsigned>(team), 0);
  return true;
}

} // namespace metalwright::cpu
