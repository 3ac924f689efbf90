// os_log: messages from a kernel. The format is read on the host; what travels is the words.
#pragma once

#include "metal_vec.h"

namespace metal {
enum os_log_type {
  os_log_type_default = 0,
  os_log_type_info = 1,
  os_log_type_debug = 2,
  os_log_type_error = 16,
  os_log_type_fault = 17
};

namespace __air {
void os_log(int type, const constant char* subsystem, const constant char* category,
            const constant char* format, const thread ulong* words, uint count)
    METAL_AIR("os_log.words");
} // namespace __air

namespace __msl {
// How many words a value takes, and those: integers are extended, half and bfloat are floats.
template <typename T>
struct log_words {
  static constexpr uint count = 1;
  METAL_INTERNAL void put(thread ulong* to, T value) {
    if constexpr (__is_floating_point(T) || __is_same(T, half) || __is_same(T, bfloat))
      *to = __builtin_bit_cast(uint, float(value));
    else
      *to = ulong(long(value));
  }
};
template <typename T, int N>
struct log_words<vec<T, N>> {
  static constexpr uint count = N;
  METAL_INTERNAL void put(thread ulong* to, vec<T, N> value) {
    for (int i = 0; i < N; ++i)
      log_words<T>::put(to + i, value[i]);
  }
};
#define _MSL_LOG_POINTER(space)                                     \
  template <typename T>                                             \
  struct log_words<space T*> {                                      \
    static constexpr uint count = 1;                                \
    METAL_INTERNAL void put(thread ulong* to, space T* value) {     \
      *to = reinterpret_cast<ulong>(value);                         \
    }                                                               \
  };
_MSL_LOG_POINTER(device)
_MSL_LOG_POINTER(const device)
_MSL_LOG_POINTER(constant)
_MSL_LOG_POINTER(threadgroup)
_MSL_LOG_POINTER(thread)
#undef _MSL_LOG_POINTER
} // namespace __msl

struct os_log {
  const constant char* __subsystem;
  const constant char* __category;
  constexpr os_log() : __subsystem(nullptr), __category(nullptr) {}
  constexpr os_log(const constant char* subsystem, const constant char* category)
      : __subsystem(subsystem), __category(category) {}
  template <typename... Args>
  METAL_FUNC void log_with_type(os_log_type type, const constant char* format, Args... args) const {
    constexpr uint count = (0u + ... + __msl::log_words<Args>::count);
    ulong words[count + 1];
    uint next = 0;
    ((__msl::log_words<Args>::put(words + next, args), next += __msl::log_words<Args>::count), ...);
    __air::os_log(int(type), __subsystem, __category, format, words, count);
  }
#define _MSL_LOG(name, type)                                                   \
  template <typename... Args>                                                  \
  METAL_FUNC void name(const constant char* format, Args... args) const {      \
    log_with_type(os_log_type_##type, format, args...);                        \
  }
  _MSL_LOG(log, default)
  _MSL_LOG(log_info, info)
  _MSL_LOG(log_debug, debug)
  _MSL_LOG(log_error, error)
  _MSL_LOG(log_fault, fault)
#undef _MSL_LOG
};
constant constexpr os_log os_log_default;

namespace __air {
// Of a function constant; the macro that hides the address-of is a keyword of MSL.
METAL_CONST bool is_function_constant_defined(const constant void*)
    METAL_AIR("is_function_constant_defined");
} // namespace __air
} // namespace metal
#define is_function_constant_defined(name) \
  (::metal::__air::is_function_constant_defined(&(name)))
