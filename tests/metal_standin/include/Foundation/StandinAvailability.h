// API_AVAILABLE and @available outside Apple's compilers.
#pragma once

// On an Apple target these are clang's own attributes, and -Wunguarded-availability checks them
// against the deployment target; elsewhere clang parses and ignores them.
#ifndef API_AVAILABLE
#define API_AVAILABLE_ONE(entry) __attribute__((availability(API_PLATFORM_##entry)))
#define API_PLATFORM_macos(version) macos, introduced = version
#define API_PLATFORM_ios(version) ios, introduced = version
#define API_PICK(_1, _2, NAME, ...) NAME
#define API_AVAILABLE_2(a, b) API_AVAILABLE_ONE(a) API_AVAILABLE_ONE(b)
#define API_AVAILABLE(...) API_PICK(__VA_ARGS__, API_AVAILABLE_2, API_AVAILABLE_ONE, )(__VA_ARGS__)
#endif

#ifndef API_DEPRECATED_WITH_REPLACEMENT
// Only the macOS part, macos(introduced, deprecated), is kept.
#define API_DEPRECATION_macos(first, last) macos, introduced = first, deprecated = last
#define API_DEPRECATED_WITH_REPLACEMENT(message, entry)                                            \
  __attribute__((availability(API_DEPRECATION_##entry)))
#endif

#ifndef __APPLE__
#ifdef __cplusplus
extern "C"
#endif
    // Whether the macOS that the stand-in plays is at least the one named in `platforms`, the text
    // between the parentheses of @available.
    bool
    metal_standin_available(const char* platforms);

// Outside Apple's targets clang takes every @available branch. After `@`, a macro is expanded like
// anywhere else, so the question becomes a boxed call. Nothing else may be called `available`.
#define available(...) (metal_standin_available(#__VA_ARGS__)).boolValue
#endif
