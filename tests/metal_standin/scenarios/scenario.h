// A scenario: a small program against the Metal API whose outcome is checked.
#pragma once

#import <Metal/Metal.h>

#include "controls.h"

#include <stdexcept>
#include <string>

namespace scenario {

struct Registration {
  Registration(const char* name, void (*run)());
};

// Throws std::runtime_error(what) unless `good`.
void check(bool good, const std::string& what);

// `body` must be stopped for exactly the misuse `code`.
void expect_misuse(const std::string& code, void (^body)());
// Nothing may be raised, and exactly the misuse `code` recorded.
void expect_note(const std::string& code, void (^body)());
void expect_no_misuse();

// A device, a queue and a few kernels.
struct Bench {
  id<MTLDevice> device;
  id<MTLCommandQueue> queue;
  id<MTLLibrary> library;

  Bench();
  Bench(const Bench& other); // a block that names a bench holds a copy
  Bench& operator=(const Bench&) = delete;
  ~Bench();
  id<MTLComputePipelineState> pipeline(const char* kernel,
                                       MTLComputePipelineReflection** reflection = nullptr) const;
  id<MTLBuffer> buffer(NSUInteger length) const; // autoreleased, of zeros
};

id<MTLLibrary> compile(id<MTLDevice> device, const char* source, NSError** error,
                       MTLCompileOptions* options = nil);
// A command buffer that copies 64 floats from `in` to `out`, committed.
id<MTLCommandBuffer> start_copy(const Bench& bench, id<MTLBuffer> in, id<MTLBuffer> out);

} // namespace scenario

#define SCENARIO(name)                                                                             \
  static void scenario_##name();                                                                   \
  static const scenario::Registration registration_##name(#name, scenario_##name);                 \
  static void scenario_##name()

#define CHECK(condition) scenario::check((condition), #condition)
