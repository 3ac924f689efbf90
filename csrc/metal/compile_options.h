// CompileOptions as Metal takes them, every one of them set.
#pragma once

#import <Metal/Metal.h>

#include "metal/objects.h"
#include "metal/os_version.h"

#include <vector>

namespace metalwright::metal {

// What the macOS at hand cannot express is added to `warnings`. Throws
// Error("unsupported-language-version").
Owned<MTLCompileOptions*> make_compile_options(const CompileOptions& options, const OsVersion& os,
                                               std::vector<Diagnostic>& warnings);

// Everything that changes what the source compiles to, for keys and for the reader.
std::string describe_options(const CompileOptions& options);

} // namespace metalwright::metal
