// os_log on the CPU device: what generated code calls.
#include "kernel_log.h"

#include "cpu/runtime_log.h"

namespace metalwright::cpu {

extern "C" void metalwright_os_log(std::int32_t type, const char* subsystem, const char* category,
                                   const char* format, const std::uint64_t* words,
                                   std::uint32_t count) {
  append_log({type, subsystem ? subsystem : "", category ? category : "",
              format ? format_log(format, {words, count}) : std::string()});
}

} // namespace metalwright::cpu
