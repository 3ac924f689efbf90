// A plain pool: one list of open jobs, one lock that is taken per job and thread, never per unit.
#include "cpu/thread_pool.h"

#include "cpu/openmp_team.h"
#include "cpu/target.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <new>
#include <thread>
#include <utility>

#include <pthread.h>

namespace metalwright::cpu {

// Leaves the core to its other thread for a moment.
static void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

ThreadPool& ThreadPool::instance() {
  static ThreadPool* pool =
      new ThreadPool; // never destroyed: helpers wait in it until the process ends
  return *pool;
}

ThreadPool::ThreadPool() : width_(std::max(1u, describe_host().processors)) {
  pthread_atfork(nullptr, nullptr, [] { instance().after_fork(); });
}

bool ThreadPool::is_worth_sharing(double work) const {
  // Threads of ours sleep, and take some ten microseconds to wake. Torch's spin for a while after
  // its operators, which share work of this size among them as well: what one thread alone did
  // would lie in the wrong core's cache for the next.
  return work > 40'000 || (work > 10'000 && has_openmp_team(std::min(width_, 2u)));
}

// The child of a fork has only the thread that forked.
void ThreadPool::after_fork() {
  new (&mutex_) std::mutex;
  new (&work_) std::condition_variable;
  new (&done_) std::condition_variable;
  jobs_.clear();
  threads_.clear();
  started_ = false;
}

void ThreadPool::start_threads() {
  // Helpers take no signals but the faults of their own code and the one that stops them.
  sigset_t blocked;
  sigset_t before;
  sigfillset(&blocked);
  for (int wanted : {SIGURG, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT})
    sigdelset(&blocked, wanted);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  for (unsigned i = 1; i < width_; ++i)
    std::thread([this, i] { helper_loop(i); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ThreadPool::helper_loop(unsigned member) {
  pthread_setname_np(pthread_self(), "mw-worker");
  ThreadState& state = ThreadState::current();
  std::unique_lock lock(mutex_);
  threads_.push_back(&state);
  for (;;) {
    Job* job = nullptr;
    work_.wait(lock, [&] {
      const auto found = std::find_if(jobs_.begin(), jobs_.end(), [](Job* j) { return j->open_; });
      job = found == jobs_.end() ? nullptr : *found;
      return job != nullptr;
    });
    ++job->helpers_;
    lock.unlock();
    job->work(state, member);
    lock.lock();
    leave(*job);
  }
}

// For one thread of the OpenMP team, of which as many work as are wanted.
void ThreadPool::team_member(Job& job, unsigned member) {
  ThreadState& state = ThreadState::current();
  if (&state == job.caller_) {
    job.work(state, 0);
    wait_for_helpers(job);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (!job.open_ || job.wanted_ == 0)
      return;
    --job.wanted_;
    ++job.helpers_;
    threads_.push_back(&state);
  }
  job.work(state, member);
  const std::lock_guard lock(mutex_);
  std::erase(threads_, &state);
  leave(job);
}

// Under the lock, for a helper whose work() has returned: nothing is left to take.
void ThreadPool::leave(Job& job) {
  job.open_ = false;
  if (--job.helpers_ == 0)
    done_.notify_all();
}

void ThreadPool::wait_for_helpers(Job& job) {
  // The last units end at about the same time: going to sleep would take longer.
  constexpr int kSpins = 2000;
  for (int i = 0; i < kSpins && job.helpers_ != 0; ++i)
    pause();
  Supervision& supervision = job.supervision();
  std::unique_lock lock(mutex_);
  job.open_ = false;
  while (job.helpers_ != 0) {
    done_.wait_for(lock, std::chrono::milliseconds(10), [&] { return job.helpers_ == 0; });
    if (job.helpers_ == 0)
      break;
    if (supervision.failure.any())
      for (ThreadState* thread : threads_)
        thread->stop(supervision);
    lock.unlock();
    ThreadState::poll(supervision);
    lock.lock();
  }
}

void ThreadPool::run(Job& job, unsigned helpers) {
  ThreadState& state = ThreadState::current();
  job.caller_ = &state;
  helpers = std::min(helpers, width_ - 1);
  job.reset(helpers + 1);
  if (helpers == 0)
    return job.work(state, 0);
  {
    const std::lock_guard lock(mutex_);
    job.open_ = true;
    job.wanted_ = helpers;
    threads_.reserve(threads_.size() + width_); // team_member() must not throw
  }
  auto call = std::make_pair(this, &job);
  const auto member = [](void* argument, unsigned number) {
    const auto& [pool, shared] = *static_cast<std::pair<ThreadPool*, Job*>*>(argument);
    pool->team_member(*shared, number);
  };
  if (run_on_openmp_team(helpers + 1, member, &call))
    return;
  {
    const std::lock_guard lock(mutex_);
    if (!started_) {
      started_ = true;
      start_threads();
    }
    jobs_.push_back(&job);
  }
  for (unsigned i = 0; i < helpers; ++i)
    work_.notify_one();
  job.work(state, 0);
  wait_for_helpers(job);
  const std::lock_guard lock(mutex_);
  std::erase(jobs_, &job);
}

void ThreadPool::stop_others(Job& job) {
  const std::lock_guard lock(mutex_);
  job.caller_->stop(job.supervision());
  for (ThreadState* thread : threads_)
    thread->stop(job.supervision());
}

} // namespace metalwright::cpu
