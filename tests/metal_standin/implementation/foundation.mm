// What Foundation and mach lack on this platform.
#import <Foundation/Foundation.h>
#include <mach/mach_time.h>

#include "controls.h"
#import "objects.h"

using namespace metal_standin;

@implementation NSProcessInfo (MetalStandin)
- (NSOperatingSystemVersion)operatingSystemVersion {
  const Settings now = settings();
  return NSOperatingSystemVersion{now.macos_major, now.macos_minor, 0};
}
- (BOOL)isOperatingSystemAtLeastVersion:(NSOperatingSystemVersion)version {
  return macos_at_least(int(version.majorVersion), int(version.minorVersion)) ? YES : NO;
}
- (NSProcessInfoThermalState)thermalState {
  return NSProcessInfoThermalState(settings().thermal_state);
}
- (BOOL)isLowPowerModeEnabled {
  return settings().low_power_mode;
}
@end

uint64_t mach_absolute_time(void) {
  return now_nanoseconds() * 3 / 125;
}

kern_return_t mach_timebase_info(mach_timebase_info_t info) {
  info->numer = 125;
  info->denom = 3;
  return 0;
}
