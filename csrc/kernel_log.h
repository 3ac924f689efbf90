// What kernels write with os_log, between the dispatch that writes it and whoever reads it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace metalwright {

struct LogMessage {
  int type = 0; // os_log_type: 0 default, 1 info, 2 debug, 16 error, 17 fault
  std::string subsystem, category;
  std::string text;
};

// printf's conversions (flags, width, precision, %d %i %u %x %X %o %c %f %F %e %E %g %G %a %s %p
// %%, lengths ignored) and Metal's vectors (%v4f). `words`: integers extended to 64 bits, the bits
// of floats; a string is an address of the kernel's constant memory. A conversion without a word is
// printed as it is.
std::string format_log(const char* format, std::span<const std::uint64_t> words);

// From any thread. Beyond what is kept, messages are only counted.
void append_log(LogMessage message);

struct LogContents {
  std::vector<LogMessage> messages; // in the order in which they arrived
  std::uint64_t dropped = 0;
};
bool has_log(); // cheap
LogContents take_log();

} // namespace metalwright
