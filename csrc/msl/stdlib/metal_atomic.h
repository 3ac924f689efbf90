// Atomic types and functions on device and threadgroup memory.
//
// Each overload names one space: air.atomic.global.* or air.atomic.local.*. Arguments after the
// operand are order, scope (2 device, 1 threadgroup) and volatility, with the values Apple emits.
#pragma once

#include "metal_compute.h"

namespace metal {
template <typename T>
struct atomic {
  T __value;
};
template <typename T>
using _atomic = atomic<T>;

using atomic_int = atomic<int>;
using atomic_uint = atomic<uint>;
using atomic_ulong = atomic<ulong>;
using atomic_float = atomic<float>;
// As wide as an int in memory.
template <>
struct atomic<bool> {
  uint __value;
};
using atomic_bool = atomic<bool>;

#define ATOMIC_VAR_INIT(x) {x}

namespace __air {
#define _MSL_MEMORY(T, s, space, name)                                                         \
  T atomic_load(volatile const space T*, uint, uint, bool) METAL_AIR("atomic." name ".load." s); \
  void atomic_store(volatile space T*, T, uint, uint, bool) METAL_AIR("atomic." name ".store." s); \
  T atomic_exchange(volatile space T*, T, uint, uint, bool) METAL_AIR("atomic." name ".xchg." s); \
  T atomic_compare(volatile space T*, thread T*, T, uint, uint, uint, bool)                    \
      METAL_AIR("atomic." name ".cmpxchg.weak." s);
#define _MSL_UPDATE(T, op, suffix, space, name) \
  T atomic_##op(volatile space T*, T, uint, uint, bool) METAL_AIR("atomic." name "." suffix);
#define _MSL_UPDATES(T, u, i, space, name)                     \
  _MSL_UPDATE(T, add, "add." u "." i, space, name)             \
  _MSL_UPDATE(T, sub, "sub." u "." i, space, name)             \
  _MSL_UPDATE(T, min, "min." u "." i, space, name)             \
  _MSL_UPDATE(T, max, "max." u "." i, space, name)             \
  _MSL_UPDATE(T, and, "and." u "." i, space, name)             \
  _MSL_UPDATE(T, or, "or." u "." i, space, name)               \
  _MSL_UPDATE(T, xor, "xor." u "." i, space, name)
#define _MSL_SPACE(space, name)               \
  _MSL_MEMORY(int, "i32", space, name)        \
  _MSL_MEMORY(uint, "i32", space, name)       \
  _MSL_MEMORY(ulong, "i64", space, name)      \
  _MSL_MEMORY(float, "f32", space, name)      \
  _MSL_UPDATES(int, "s", "i32", space, name)  \
  _MSL_UPDATES(uint, "u", "i32", space, name) \
  _MSL_UPDATES(ulong, "u", "i64", space, name) \
  _MSL_UPDATE(float, add, "add.f32", space, name) \
  _MSL_UPDATE(float, sub, "sub.f32", space, name)
_MSL_SPACE(device, "global")
_MSL_SPACE(threadgroup, "local")
#undef _MSL_SPACE
#undef _MSL_UPDATES
#undef _MSL_UPDATE
#undef _MSL_MEMORY
} // namespace __air

namespace __msl {
template <typename T>
struct same {
  using type = T;
};
template <typename T>
using plain = typename same<T>::type;
} // namespace __msl

// What fences take, atomic operations do not: an order that is not relaxed is an error.
#define _MSL_RELAXED(order)                                                                   \
  __attribute__((diagnose_if(order != memory_order_relaxed,                                   \
                             "the memory order of an atomic operation must be "               \
                             "memory_order_relaxed; order it with atomic_thread_fence",       \
                             "error")))
#define _MSL_FETCH(op, space, scope)                                                          \
  template <typename T>                                                                       \
  METAL_FUNC T atomic_fetch_##op##_explicit(volatile space atomic<T>* p, __msl::plain<T> x,   \
                                            memory_order order) _MSL_RELAXED(order) {         \
    return __air::atomic_##op(&p->__value, x, order, scope, true);                            \
  }
#define _MSL_ATOMIC_FUNCTIONS(space, scope)                                                   \
  template <typename T>                                                                       \
  METAL_FUNC T atomic_load_explicit(const volatile space atomic<T>* p, memory_order order)    \
      _MSL_RELAXED(order) {                                                                   \
    return T(__air::atomic_load(&p->__value, order, scope, true));                            \
  }                                                                                           \
  template <typename T>                                                                       \
  METAL_FUNC void atomic_store_explicit(volatile space atomic<T>* p, __msl::plain<T> x,       \
                                        memory_order order) _MSL_RELAXED(order) {             \
    __air::atomic_store(&p->__value, x, order, scope, true);                                  \
  }                                                                                           \
  template <typename T>                                                                       \
  METAL_FUNC T atomic_exchange_explicit(volatile space atomic<T>* p, __msl::plain<T> x,       \
                                        memory_order order) _MSL_RELAXED(order) {             \
    return T(__air::atomic_exchange(&p->__value, x, order, scope, true));                     \
  }                                                                                           \
  template <typename T>                                                                       \
  METAL_FUNC bool atomic_compare_exchange_weak_explicit(                                      \
      volatile space atomic<T>* p, thread __msl::plain<T>* expected, __msl::plain<T> desired, \
      memory_order success, memory_order failure)                                             \
      _MSL_RELAXED(success) _MSL_RELAXED(failure) {                                           \
    if constexpr (__is_same(T, bool)) {                                                       \
      uint seen = *expected, before = seen;                                                   \
      uint old = __air::atomic_compare(&p->__value, &seen, uint(desired), success, failure, scope, \
                                       true);                                                 \
      *expected = old != 0;                                                                   \
      return old == before;                                                                   \
    } else {                                                                                  \
      T before = *expected;                                                                   \
      T old = __air::atomic_compare(&p->__value, expected, desired, success, failure, scope, true); \
      return __builtin_memcmp(&old, &before, sizeof(T)) == 0;                                 \
    }                                                                                         \
  }                                                                                           \
  _MSL_FETCH(add, space, scope)                                                               \
  _MSL_FETCH(sub, space, scope)                                                               \
  _MSL_FETCH(min, space, scope)                                                               \
  _MSL_FETCH(max, space, scope)                                                               \
  _MSL_FETCH(and, space, scope)                                                               \
  _MSL_FETCH(or, space, scope)                                                                \
  _MSL_FETCH(xor, space, scope)                                                               \
  template <typename T>                                                                       \
  METAL_FUNC void atomic_min_explicit(volatile space atomic<T>* p, __msl::plain<T> x,         \
                                      memory_order order) _MSL_RELAXED(order) {               \
    __air::atomic_min(&p->__value, x, order, scope, true);                                    \
  }                                                                                           \
  template <typename T>                                                                       \
  METAL_FUNC void atomic_max_explicit(volatile space atomic<T>* p, __msl::plain<T> x,         \
                                      memory_order order) _MSL_RELAXED(order) {               \
    __air::atomic_max(&p->__value, x, order, scope, true);                                    \
  }
_MSL_ATOMIC_FUNCTIONS(device, 2)
_MSL_ATOMIC_FUNCTIONS(threadgroup, 1)
#undef _MSL_ATOMIC_FUNCTIONS
#undef _MSL_FETCH
#undef _MSL_RELAXED
} // namespace metal
