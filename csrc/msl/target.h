// The compilation target as Clang sees it: AIR's data layout, address spaces and number types.
#pragma once

#include <clang/AST/Type.h>
#include <clang/Basic/TargetInfo.h>

namespace metalwright::msl {

// The numbers are Apple's (docs/design/interfaces.md): 0 thread, 1 device, 2 constant, 3
// threadgroup.
inline constexpr unsigned kThreadSpace = 0;
inline constexpr unsigned kDeviceSpace = 1;
inline constexpr unsigned kConstantSpace = 2;
inline constexpr unsigned kThreadgroupSpace = 3;

inline constexpr const char* kAirTriple = "air64-apple-macosx14.0.0";
inline constexpr const char* kAirDataLayout =
    "e-p:64:64:64-i1:8:8-i8:8:8-i16:16:16-i32:32:32-i64:64:64-f32:32:32-f64:64:64-v16:16:16-"
    "v24:32:32-v32:32:32-v48:64:64-v64:64:64-v96:128:128-v128:128:128-v192:256:256-v256:256:256-"
    "v512:512:512-v1024:1024:1024-n8:16:32";

// The address space of an object of this type.
unsigned air_space(clang::QualType type);
// The other way: Clang's name of one of AIR's address spaces.
clang::LangAS language_space(unsigned space);

// A new target, to be owned by a CompilerInstance.
clang::TargetInfo* create_air_target();

} // namespace metalwright::msl
