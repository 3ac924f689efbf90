// What generated code calls for os_log.
#pragma once

#include <cstdint>

namespace metalwright::cpu {

// The strings are the kernel's own, and end with a zero byte; `words` are as format_log takes them.
extern "C" void metalwright_os_log(std::int32_t type, const char* subsystem, const char* category,
                                   const char* format, const std::uint64_t* words,
                                   std::uint32_t count);

} // namespace metalwright::cpu
