// Runs a function on a stack that deep recursion does not exhaust.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <utility>

namespace metalwright::msl {

// Clang recurses once and more per nested expression, and the program comes from a stranger: a sum
// of a hundred thousand terms would end the process on the usual stack. Only what is used takes
// memory.
inline constexpr std::size_t kDeepStack = std::size_t{1} << 30;

// `function` may not throw. Where no such thread can be had it runs on the caller's stack.
template <typename Function> void run_on_deep_stack(Function&& function) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_t thread;
  const auto call = [](void* pointer) -> void* {
    (*static_cast<std::remove_reference_t<Function>*>(pointer))();
    return nullptr;
  };
  const bool started = pthread_attr_setstacksize(&attributes, kDeepStack) == 0 &&
                       pthread_create(&thread, &attributes, call, &function) == 0;
  pthread_attr_destroy(&attributes);
  if (started)
    pthread_join(thread, nullptr);
  else
    call(&function);
}

} // namespace metalwright::msl
