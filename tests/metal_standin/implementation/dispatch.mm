// Serial dispatch queues and semaphores.
#include <dispatch/dispatch.h>

#import "objects.h"

#include <Block.h>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#import <Foundation/NSThread.h>

using namespace metal_standin;

namespace {

struct Object {
  std::atomic<int> references{1};
  virtual ~Object() = default;
};

struct Job {
  void* context;
  dispatch_function_t work;
};

} // namespace

// Jobs take numbers and run in their order; a synchronous one on its caller's thread.
struct dispatch_queue_s : Object {
  std::string label;
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t next = 0;    // the number that the next job takes
  std::uint64_t serving = 0; // whose turn it is
  std::deque<std::pair<std::uint64_t, Job>> asynchronous;
  bool has_thread = false;
  std::thread::id owner; // runs a job now
};

struct dispatch_semaphore_s : Object {
  std::mutex mutex;
  std::condition_variable changed;
  intptr_t value = 0;
};

namespace {

void release(Object* object) {
  if (--object->references == 0)
    delete object;
}

// Runs a job whose number is `number`; gives the turn to the next, whatever happens.
void run_in_turn(dispatch_queue_s& queue, std::uint64_t number, const Job& job) {
  {
    std::unique_lock lock(queue.mutex);
    queue.changed.wait(lock, [&] { return queue.serving == number; });
    queue.owner = std::this_thread::get_id();
  }
  struct Turn {
    dispatch_queue_s& queue;
    bool ended = false;
    ~Turn() {
      if (!ended) // ends the process on Apple
        note("exception-through-dispatch", @"an exception left a block of dispatch queue %s",
             queue.label.c_str());
      {
        const std::lock_guard lock(queue.mutex);
        queue.owner = {};
        ++queue.serving;
      }
      queue.changed.notify_all();
    }
  } turn{queue};
  job.work(job.context);
  turn.ended = true;
}

void run_asynchronous(dispatch_queue_s* queue) {
  GSRegisterCurrentThread();
  for (;;) {
    std::pair<std::uint64_t, Job> next;
    {
      const std::lock_guard lock(queue->mutex);
      if (queue->asynchronous.empty()) {
        queue->has_thread = false;
        break;
      }
      next = queue->asynchronous.front();
      queue->asynchronous.pop_front();
    }
    @autoreleasepool {
      run_in_turn(*queue, next.first, next.second);
    }
  }
  release(queue);
  GSUnregisterCurrentThread();
}

void run_block(void* block) {
  ((dispatch_block_t)block)();
}

void run_and_release_block(void* block) {
  ((dispatch_block_t)block)();
  Block_release(block);
}

} // namespace

dispatch_queue_t dispatch_queue_create(const char* label, dispatch_queue_attr_t attributes) {
  if (attributes != DISPATCH_QUEUE_SERIAL)
    stop("dispatch-queue", @"only serial queues are known here");
  auto* queue = new dispatch_queue_s;
  queue->label = label ? label : "";
  return queue;
}

const char* dispatch_queue_get_label(dispatch_queue_t queue) {
  return queue->label.c_str();
}

void dispatch_sync_f(dispatch_queue_t queue, void* context, dispatch_function_t work) {
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(queue->mutex);
    if (queue->owner == std::this_thread::get_id())
      stop("dispatch-sync-deadlock",
           @"dispatch_sync called on queue %s already owned by current thread",
           queue->label.c_str());
    number = queue->next++;
  }
  run_in_turn(*queue, number, {context, work});
}

void dispatch_sync(dispatch_queue_t queue, dispatch_block_t block) {
  dispatch_sync_f(queue, (void*)block, run_block);
}

void dispatch_async_f(dispatch_queue_t queue, void* context, dispatch_function_t work) {
  bool needs_thread = false;
  {
    const std::lock_guard lock(queue->mutex);
    queue->asynchronous.push_back({queue->next++, {context, work}});
    needs_thread = !std::exchange(queue->has_thread, true);
  }
  if (needs_thread) {
    ++queue->references;
    std::thread(run_asynchronous, queue).detach();
  }
}

void dispatch_async(dispatch_queue_t queue, dispatch_block_t block) {
  dispatch_async_f(queue, (void*)Block_copy(block), run_and_release_block);
}

bool metal_standin_is_on_queue(dispatch_queue_t queue) {
  const std::lock_guard lock(queue->mutex);
  return queue->owner == std::this_thread::get_id();
}

void dispatch_assert_queue(dispatch_queue_t queue) {
  if (!metal_standin_is_on_queue(queue))
    stop("dispatch-assert-queue",
         @"BUG IN CLIENT OF LIBDISPATCH: Block was expected to execute on "
         @"queue [%s]",
         queue->label.c_str());
}

// ------------------------------------------------------------------ semaphores

dispatch_semaphore_t dispatch_semaphore_create(intptr_t value) {
  if (value < 0)
    return nullptr;
  auto* semaphore = new dispatch_semaphore_s;
  semaphore->value = value;
  return semaphore;
}

intptr_t dispatch_semaphore_signal(dispatch_semaphore_t semaphore) {
  {
    const std::lock_guard lock(semaphore->mutex);
    ++semaphore->value;
  }
  semaphore->changed.notify_one();
  return 0;
}

intptr_t dispatch_semaphore_wait(dispatch_semaphore_t semaphore, dispatch_time_t timeout) {
  std::unique_lock lock(semaphore->mutex);
  const auto signalled = [&] { return semaphore->value > 0; };
  if (timeout == DISPATCH_TIME_FOREVER) {
    semaphore->changed.wait(lock, signalled);
  } else {
    const std::uint64_t now = now_nanoseconds();
    const std::uint64_t left = timeout > now ? timeout - now : 0;
    if (!semaphore->changed.wait_for(lock, std::chrono::nanoseconds(left), signalled))
      return 1;
  }
  --semaphore->value;
  return 0;
}

dispatch_time_t dispatch_time(dispatch_time_t when, int64_t nanoseconds) {
  if (when == DISPATCH_TIME_FOREVER)
    return when;
  return (when == DISPATCH_TIME_NOW ? now_nanoseconds() : when) + std::uint64_t(nanoseconds);
}

void metal_standin_dispatch_retain(void* object) {
  ++static_cast<Object*>(object)->references;
}
void metal_standin_dispatch_release(void* object) {
  release(static_cast<Object*>(object));
}
