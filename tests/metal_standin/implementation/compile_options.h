// Compile options, and what they mean to the compiler behind the stand-in.
#pragma once
#import "objects.h"

namespace metal_standin {
// Of the macOS that is played.
MTLLanguageVersion newest_language_version();
} // namespace metal_standin

@interface MTLCompileOptions (Standin)
- (metalwright::CompileOptions)forBackend;
@end
