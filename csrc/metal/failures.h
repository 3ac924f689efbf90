// What became of a command buffer that did not complete.
#pragma once

#import <Metal/Metal.h>

#include <string>

namespace metalwright::metal {

struct CommandFailure {
  const char* code; // of errors.h
  std::string text; // Metal's reason, with what is known of the encoder
};

CommandFailure describe_failure(id<MTLCommandBuffer> commands);

// Metal's text of an error; "no reason given" without one.
std::string describe_error(NSError* error);

} // namespace metalwright::metal
