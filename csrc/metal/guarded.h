// Carries exceptions, C++ and Objective-C, around an autorelease pool: one that unwinds through a
// pool would leave it undrained, and every call from a Python thread needs one.
#pragma once

#import <Foundation/Foundation.h>

#include "metal/objects.h"

#include <exception>
#include <optional>
#include <type_traits>

namespace metalwright::metal {

// Runs body(context) and returns what it threw, if anything. In a C++ file of its own: on GCC's
// Objective-C run time no function can catch exceptions of both languages.
std::exception_ptr catch_exception(void (*body)(void*), void* context) noexcept;

// The text of an exception.
std::string describe(const std::exception_ptr& exception);

// What the framework raised.
struct Raised {
  bool any = false;
  std::string text;
};

template <class Body> void catch_raised(Body& body, Raised& raised) {
  @try {
    body();
  } @catch (NSException* exception) {
    raised.any = true;
    raised.text = from_objc([exception name]) + ": " + from_objc([exception reason]);
  }
}

// Runs `body` in an autorelease pool and returns what it returns. Throws what it throws, and
// Error("metal-exception") for an NSException. The result must not be an autoreleased object.
template <class Body> auto in_pool(Body&& body) -> std::invoke_result_t<Body&> {
  using Result = std::invoke_result_t<Body&>;
  constexpr bool is_void = std::is_void_v<Result>;
  std::optional<std::conditional_t<is_void, int, Result>> result;
  Raised raised;
  auto run = [&] {
    if constexpr (is_void)
      body();
    else
      result.emplace(body());
  };
  auto run_and_catch = [&] { catch_raised(run, raised); };
  std::exception_ptr thrown;
  @autoreleasepool {
    thrown = catch_exception(
        [](void* context) { (*static_cast<decltype(run_and_catch)*>(context))(); }, &run_and_catch);
  }
  if (thrown)
    std::rethrow_exception(thrown);
  if (raised.any)
    throw Error(errors::metal_exception, "the Metal framework refused a call: " + raised.text);
  if constexpr (!is_void)
    return std::move(*result);
}

} // namespace metalwright::metal
