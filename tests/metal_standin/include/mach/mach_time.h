// The monotonic clock of macOS. One tick is 125/3 ns, as on Apple silicon, so that a missing
// conversion to nanoseconds shows.
#pragma once
#include <stdint.h>

typedef struct mach_timebase_info {
  uint32_t numer;
  uint32_t denom;
} mach_timebase_info_data_t;
typedef mach_timebase_info_data_t* mach_timebase_info_t;
typedef int kern_return_t;

#ifdef __cplusplus
extern "C" {
#endif
uint64_t mach_absolute_time(void);
kern_return_t mach_timebase_info(mach_timebase_info_t info);
#ifdef __cplusplus
}
#endif
