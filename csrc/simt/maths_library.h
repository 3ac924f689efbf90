// The maths library (csrc/simt/math), embedded as bitcode.
#pragma once

#include <llvm/IR/Module.h>
#include <llvm/Support/Error.h>

#include <string_view>

namespace metalwright::simt {

// Metadata of a product by a power of two that is the second of two, of which the first is exact:
// how the library scales so that a subnormal result is rounded once (scaling.h uses it).
inline constexpr const char* kScalingMark = "metalwright.scaling";

// Whether the library defines `name` ("mw_exp").
bool maths_library_has(std::string_view name);

// Requires: `module` declares and uses some of the library's functions.
// Guarantees: those, and nothing else, are defined in it, internal and alwaysinline. The library is
// read lazily, so that the cost is that of the functions used.
llvm::Error link_maths_library(llvm::Module& module);

} // namespace metalwright::simt
