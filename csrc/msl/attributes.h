// The attributes that MSL knows, as data: what each is and which types it may stand on.
#pragma once

#include <llvm/ADT/StringRef.h>

#include <optional>

namespace metalwright::msl {

enum class AttributeKind {
  kernel,            // [[kernel]]
  buffer,            // [[buffer(n)]]
  texture,           // [[texture(n)]]
  sampler,           // [[sampler(n)]]
  threadgroup,       // [[threadgroup(n)]]
  function_constant, // [[function_constant(n)]] on a constant, (name) on an argument
  built_in,          // [[thread_position_in_grid]], ...
  host_name,         // [[host_name("f")]]
  max_threads,       // [[max_total_threads_per_threadgroup(n)]]
  required_threads,  // [[required_threads_per_threadgroup(n)]]
  id,                // [[id(n)]] on a member of an argument buffer
  other,             // accepted, of no consequence in a compute kernel
};

enum class BuiltInType { scalar, vector };

struct Attribute {
  llvm::StringRef name;
  AttributeKind kind;
  unsigned min_arguments;
  unsigned max_arguments;
  BuiltInType type; // of a built-in: `vector` allows one, two and three components
};

// The attribute of that name, or null.
const Attribute* find_attribute(llvm::StringRef name);
// The name most like `name`, for "did you mean", or an empty string.
llvm::StringRef nearest_attribute(llvm::StringRef name);
// Attributes of C++ itself that are handed to Clang untouched.
bool is_standard_attribute(llvm::StringRef name);

// Every annotation that the token rewriter makes starts with this.
inline constexpr llvm::StringRef kAnnotationPrefix = "msl.";

} // namespace metalwright::msl
