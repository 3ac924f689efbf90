// The attributes that MSL knows, as data: what each is and which types it may stand on.
#include "msl/attributes.h"

#include <llvm/ADT/STLExtras.h>

namespace metalwright::msl {
namespace {

using Kind = AttributeKind;
constexpr auto scalar = BuiltInType::scalar;
constexpr auto vector = BuiltInType::vector;

constexpr Attribute kAttributes[] = {
    {"kernel", Kind::kernel, 0, 0, scalar},
    {"buffer", Kind::buffer, 1, 1, scalar},
    {"texture", Kind::texture, 1, 1, scalar},
    {"sampler", Kind::sampler, 1, 1, scalar},
    {"threadgroup", Kind::threadgroup, 1, 1, scalar},
    {"function_constant", Kind::function_constant, 1, 1, scalar},
    {"host_name", Kind::host_name, 1, 1, scalar},
    {"max_total_threads_per_threadgroup", Kind::max_threads, 1, 1, scalar},
    {"required_threads_per_threadgroup", Kind::required_threads, 1, 3, scalar},
    {"id", Kind::id, 1, 1, scalar},
    {"thread_position_in_grid", Kind::built_in, 0, 0, vector},
    {"thread_position_in_threadgroup", Kind::built_in, 0, 0, vector},
    {"threadgroup_position_in_grid", Kind::built_in, 0, 0, vector},
    {"threads_per_threadgroup", Kind::built_in, 0, 0, vector},
    {"dispatch_threads_per_threadgroup", Kind::built_in, 0, 0, vector},
    {"threadgroups_per_grid", Kind::built_in, 0, 0, vector},
    {"threads_per_grid", Kind::built_in, 0, 0, vector},
    {"grid_size", Kind::built_in, 0, 0, vector},
    {"grid_origin", Kind::built_in, 0, 0, vector},
    {"thread_index_in_threadgroup", Kind::built_in, 0, 0, scalar},
    {"thread_index_in_simdgroup", Kind::built_in, 0, 0, scalar},
    {"thread_index_in_quadgroup", Kind::built_in, 0, 0, scalar},
    {"simdgroup_index_in_threadgroup", Kind::built_in, 0, 0, scalar},
    {"quadgroup_index_in_threadgroup", Kind::built_in, 0, 0, scalar},
    {"simdgroups_per_threadgroup", Kind::built_in, 0, 0, scalar},
    {"quadgroups_per_threadgroup", Kind::built_in, 0, 0, scalar},
    {"dispatch_simdgroups_per_threadgroup", Kind::built_in, 0, 0, scalar},
    {"dispatch_quadgroups_per_threadgroup", Kind::built_in, 0, 0, scalar},
    {"threads_per_simdgroup", Kind::built_in, 0, 0, scalar},
    {"thread_execution_width", Kind::built_in, 0, 0, scalar},
    {"user_annotation", Kind::other, 1, 1, scalar},
};

constexpr llvm::StringRef kStandardAttributes[] = {
    "maybe_unused", "nodiscard", "fallthrough", "likely",
    "unlikely",     "noreturn",  "deprecated",  "no_unique_address",
};

} // namespace

const Attribute* find_attribute(llvm::StringRef name) {
  const auto* found =
      llvm::find_if(kAttributes, [&](const Attribute& a) { return a.name == name; });
  return found == std::end(kAttributes) ? nullptr : found;
}

llvm::StringRef nearest_attribute(llvm::StringRef name) {
  llvm::StringRef best;
  unsigned best_distance = static_cast<unsigned>(name.size()) / 3 + 1;
  for (const Attribute& attribute : kAttributes) {
    const unsigned distance = name.edit_distance(attribute.name, true, best_distance);
    if (distance < best_distance) {
      best_distance = distance;
      best = attribute.name;
    }
  }
  return best;
}

bool is_standard_attribute(llvm::StringRef name) {
  return llvm::is_contained(kStandardAttributes, name);
}

} // namespace metalwright::msl
