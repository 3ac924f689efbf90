// The threads that share a dispatch's work with the thread that called it: torch's OpenMP team
// where there is one, else threads of our own.
#pragma once

#include "cpu/guarded_section.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

namespace metalwright::cpu {

// Work in units, which threads take until there are none.
class Job {
 public:
  virtual ~Job() = default;
  // Before each run, which `threads` threads are expected to share.
  virtual void reset(unsigned threads) = 0;
  // Takes units until there are none, or until the job failed. Runs on several threads at once.
  // `member`: the thread's number, the same for each job; 0 is the one that called.
  virtual void work(ThreadState& thread, unsigned member) = 0;
  virtual Supervision& supervision() = 0;

 private:
  friend class ThreadPool;
  ThreadState* caller_ = nullptr;
  // Other threads that are in work(). Written under the pool's lock.
  std::atomic<unsigned> helpers_ = 0;
  unsigned wanted_ = 0; // threads of the OpenMP team that may still join; under the pool's lock
  bool open_ = true;    // the same
};

class ThreadPool {
 public:
  static ThreadPool& instance();
  // Threads that work on a job at most, the caller among them.
  unsigned width() const { return width_; }
  // Whether so many nanoseconds of one thread's work are worth waking others, asked by the thread
  // that has the work.
  bool is_worth_sharing(double work) const;
  // Returns when no unit is left or running. The caller works too, and polls the job's hook while
  // it waits for the others. `helpers`: how many other threads are worth waking.
  void run(Job& job, unsigned helpers);
  // For a thread of a job that has just failed: the others may be in code that never ends.
  void stop_others(Job& job);

 private:
  ThreadPool();
  void start_threads();
  void helper_loop(unsigned member);
  void team_member(Job& job, unsigned member);
  void leave(Job& job);
  void wait_for_helpers(Job& job);
  void after_fork();

  unsigned width_ = 1;
  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::vector<Job*> jobs_;
  std::vector<ThreadState*> threads_; // helpers, for stopping them
  bool started_ = false;
};

} // namespace metalwright::cpu
