// Counted objects, misuse, errors, strings, the clock.
#import "objects.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace metal_standin {

NSString* ns(const std::string& text) {
  return [NSString stringWithUTF8String:text.c_str()];
}

std::string utf8(NSString* text) {
  return text ? [text UTF8String] : std::string();
}

void stop(const char* code, NSString* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  NSString* message = [[[NSString alloc] initWithFormat:format arguments:arguments] autorelease];
  va_end(arguments);
  record_misuse(code, utf8(message));
  NSString* reason = [@"failed assertion: " stringByAppendingString:message];
  @throw [NSException exceptionWithName:@"MetalStandinMisuse" reason:reason userInfo:nil];
}

void note(const char* code, NSString* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  NSString* message = [[NSString alloc] initWithFormat:format arguments:arguments];
  va_end(arguments);
  record_misuse(code, utf8(message));
  [message release];
}

void set_error(NSError** error, NSString* domain, NSInteger code, NSString* description) {
  if (error)
    *error = [NSError errorWithDomain:domain
                                 code:code
                             userInfo:@{NSLocalizedDescriptionKey : description}];
}

bool macos_at_least(int major, int minor) {
  const Settings now = settings();
  return now.macos_major > major || (now.macos_major == major && now.macos_minor >= minor);
}

std::uint64_t now_nanoseconds() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::uint64_t(time.tv_sec) * 1'000'000'000 + std::uint64_t(time.tv_nsec);
}

double now_seconds() {
  // 24 ticks per microsecond; 24e6 divides a whole second.
  const std::uint64_t ticks = now_nanoseconds() * 3 / 125;
  return double(ticks) / 24e6;
}

} // namespace metal_standin

extern "C" bool metal_standin_available(const char* platforms) {
  const char* entry = strcasestr(platforms, "macos");
  if (!entry)
    return true; // `*`
  int major = 0, minor = 0;
  entry += std::strlen("macos");
  if (std::sscanf(entry, " %d.%d", &major, &minor) < 1)
    return true;
  return metal_standin::macos_at_least(major, minor);
}

@implementation StandinObject
METAL_STANDIN_COUNTED
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [super dealloc];
}
@end
