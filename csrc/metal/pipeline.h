// From a function to a pipeline with its reflection.
#pragma once

#import <Metal/Metal.h>

#include "metal/context.h"
#include "metal/signature.h"

#include <vector>

namespace metalwright::metal {

struct Pipeline {
  Owned<id<MTLComputePipelineState>> state;
  std::vector<Argument> arguments; // buffers, then threadgroup memory, each by index
  bool from_archive = false;
};

// `archive_facts` decides the file in the archive, if one is used: everything that the function was
// compiled from. `signatures` may be null: an internal kernel whose arguments nobody reads. Throws
// Error: "too-much-threadgroup-memory", "code-generation-failed" with Metal's text,
// "unsupported-argument".
Pipeline make_pipeline(Context& context, id<MTLFunction> function, const std::string& name,
                       const Signatures* signatures, const std::string& archive_facts);

// The arguments that a pipeline's reflection lists, completed from the source.
std::vector<Argument> read_arguments(const std::string& kernel,
                                     MTLComputePipelineReflection* reflection,
                                     const Signatures& signatures);

} // namespace metalwright::metal
