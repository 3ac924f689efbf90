// Serial dispatch queues and semaphores, as far as a Metal program needs them.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dispatch_queue_s* dispatch_queue_t;
typedef struct dispatch_queue_attr_s* dispatch_queue_attr_t;
typedef struct dispatch_semaphore_s* dispatch_semaphore_t;
typedef uint64_t dispatch_time_t;
typedef void (^dispatch_block_t)(void);
typedef void (*dispatch_function_t)(void* context);

#define DISPATCH_QUEUE_SERIAL ((dispatch_queue_attr_t)0)
#define DISPATCH_TIME_NOW (0ull)
#define DISPATCH_TIME_FOREVER (~0ull)
#define NSEC_PER_SEC 1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_USEC 1000ull

dispatch_queue_t dispatch_queue_create(const char* label, dispatch_queue_attr_t attributes);
const char* dispatch_queue_get_label(dispatch_queue_t queue);
// Runs the block on the calling thread, after what the queue already holds; from a block of the
// same queue this is a deadlock, which the stand-in records as misuse and turns into an exception.
void dispatch_sync(dispatch_queue_t queue, dispatch_block_t block);
void dispatch_sync_f(dispatch_queue_t queue, void* context, dispatch_function_t work);
void dispatch_async(dispatch_queue_t queue, dispatch_block_t block);
void dispatch_async_f(dispatch_queue_t queue, void* context, dispatch_function_t work);
void dispatch_assert_queue(dispatch_queue_t queue);
bool metal_standin_is_on_queue(dispatch_queue_t queue);

dispatch_semaphore_t dispatch_semaphore_create(intptr_t value);
intptr_t dispatch_semaphore_signal(dispatch_semaphore_t semaphore);
// 0, or not 0 after the timeout.
intptr_t dispatch_semaphore_wait(dispatch_semaphore_t semaphore, dispatch_time_t timeout);
dispatch_time_t dispatch_time(dispatch_time_t when, int64_t nanoseconds);

// Queues and semaphores are the only objects; under ARC on Apple these calls do not exist.
void metal_standin_dispatch_retain(void* object);
void metal_standin_dispatch_release(void* object);
#define dispatch_retain(object) metal_standin_dispatch_retain((void*)(object))
#define dispatch_release(object) metal_standin_dispatch_release((void*)(object))

#ifdef __cplusplus
}
#endif
