// Formatting and keeping what kernels write with os_log.
#include "kernel_log.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>

namespace metalwright {
namespace {

constexpr std::size_t kMostKept = 10'000; // messages; a grid has millions of threads
constexpr std::size_t kLongestText = 4096;

std::mutex log_mutex;
LogContents contents;
std::atomic<bool> has_some{false};

// One conversion: "%-8.3f" with its letter and how many numbers it takes.
struct Conversion {
  std::string flags; // between % and the length
  char letter = 0;
  bool is_long = false;
  unsigned count = 1;
  std::size_t length = 0; // of its text in the format
};

Conversion parse(const char* text) {
  Conversion result;
  const char* next = text + 1;
  while (*next != 0 && std::strchr("-+ #0123456789.", *next) && result.flags.size() < 16)
    result.flags += *next++;
  if (*next == 'v' && next[1] >= '2' && next[1] <= '4') {
    result.count = static_cast<unsigned>(next[1] - '0');
    next += 2;
  }
  for (; *next != 0 && std::strchr("hlLqjzt", *next); ++next)
    result.is_long = *next != 'h';
  result.letter = *next;
  result.length = static_cast<std::size_t>(next - text) + (*next != 0 ? 1 : 0);
  return result;
}

template <class Value> std::string print(const std::string& format, Value value) {
  char buffer[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  const int length = std::snprintf(buffer, sizeof buffer, format.c_str(), value);
#pragma GCC diagnostic pop
  return {buffer, std::min<std::size_t>(length < 0 ? 0 : static_cast<std::size_t>(length),
                                        sizeof buffer - 1)};
}

std::string convert(const Conversion& conversion, std::uint64_t word) {
  const std::string start = "%" + conversion.flags;
  switch (conversion.letter) {
  case 'd':
  case 'i':
    return print(start + "lld", static_cast<long long>(word));
  case 'u':
  case 'x':
  case 'X':
  case 'o': {
    // What was a 32-bit number and negative prints as one, not as its extension.
    const bool extended = !conversion.is_long && (word >> 31) == 0x1ffffffff;
    return print(start + "ll" + conversion.letter,
                 static_cast<unsigned long long>(extended ? word & 0xffffffff : word));
  }
  case 'c':
    return print(start + "c", static_cast<int>(word & 0xff));
  case 'f':
  case 'F':
  case 'e':
  case 'E':
  case 'g':
  case 'G':
  case 'a':
  case 'A':
    return print(start + conversion.letter,
                 static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(word))));
  case 'p':
    return print(start + "p", std::bit_cast<const void*>(word));
  case 's': {
    const char* text = std::bit_cast<const char*>(word);
    return print(start + "s", text ? text : "(null)");
  }
  default:
    return {};
  }
}

} // namespace

std::string format_log(const char* format, std::span<const std::uint64_t> words) {
  std::string text;
  std::size_t next = 0;
  for (const char* at = format; *at != 0 && text.size() < kLongestText;) {
    if (*at != '%') {
      text += *at++;
      continue;
    }
    if (at[1] == '%') {
      text += '%';
      at += 2;
      continue;
    }
    const Conversion conversion = parse(at);
    const bool known =
        conversion.letter != 0 && std::strchr("diuxXocfFeEgGaAps", conversion.letter) != nullptr;
    if (!known || next + conversion.count > words.size()) {
      text.append(at, conversion.length);
    } else {
      for (unsigned i = 0; i < conversion.count; ++i)
        text += (i == 0 ? "" : ", ") + convert(conversion, words[next + i]);
      next += conversion.count;
    }
    at += conversion.length;
  }
  return text;
}

void append_log(LogMessage message) {
  const std::lock_guard lock(log_mutex);
  if (contents.messages.size() < kMostKept)
    contents.messages.push_back(std::move(message));
  else
    ++contents.dropped;
  has_some.store(true, std::memory_order_release);
}

bool has_log() {
  return has_some.load(std::memory_order_acquire);
}

LogContents take_log() {
  const std::lock_guard lock(log_mutex);
  has_some.store(false, std::memory_order_release);
  return std::exchange(contents, {});
}

} // namespace metalwright
