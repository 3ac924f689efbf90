// A plain pool: one list of open jobs, one lock that is taken per job and thread, never per unit.
#include "cpu/thread_pool.h"

#include "cpu/target.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <new>
#include <thread>

#include <pthread.h>

namespace metalwright::cpu {

ThreadPool& ThreadPool::instance() {
  static ThreadPool* pool =
      new ThreadPool; // never destroyed: helpers wait in it until the process ends
  return *pool;
}

ThreadPool::ThreadPool() : width_(std::max(1u, describe_host().processors)) {
  pthread_atfork(nullptr, nullptr, [] { instance().after_fork(); });
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
    std::thread([this] { helper_loop(); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ThreadPool::helper_loop() {
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
    job->work(state, false);
    lock.lock();
    job->open_ = false; // nothing is left to take
    if (--job->helpers_ == 0)
      done_.notify_all();
  }
}

void ThreadPool::run(Job& job, unsigned helpers) {
  ThreadState& state = ThreadState::current();
  job.caller_ = &state;
  helpers = std::min(helpers, width_ - 1);
  job.reset(helpers + 1);
  if (helpers == 0)
    return job.work(state, true);
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
  job.work(state, true);
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
  std::erase(jobs_, &job);
}

void ThreadPool::stop_others(Job& job) {
  const std::lock_guard lock(mutex_);
  job.caller_->stop(job.supervision());
  for (ThreadState* thread : threads_)
    thread->stop(job.supervision());
}

} // namespace metalwright::cpu
