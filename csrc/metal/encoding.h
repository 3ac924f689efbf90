// Encoding into a compute encoder that is ended whatever happens.
#pragma once

#import <Metal/Metal.h>

#include "metal/objects.h"

#include <functional>

namespace metalwright::metal {

// Puts commands into an encoder.
using Encode = std::function<void(id<MTLComputeCommandEncoder>)>;

// Ends an encoder at the end of the scope: a command buffer must not be committed, or dropped, with
// one that is open.
class Encoding {
 public:
  explicit Encoding(id<MTLComputeCommandEncoder> encoder)
      : encoder_(Owned<id<MTLComputeCommandEncoder>>::share(encoder)) {}
  Encoding(const Encoding&) = delete;
  Encoding& operator=(const Encoding&) = delete;
  ~Encoding() { [encoder_.get() endEncoding]; }

 private:
  Owned<id<MTLComputeCommandEncoder>> encoder_;
};

} // namespace metalwright::metal
