// Replaces AIR's intrinsics by plain LLVM IR: all but those that talk across threads.
#pragma once

#include <llvm/IR/Module.h>

#include <string>
#include <string_view>
#include <vector>

namespace metalwright::simt {

// Barriers, simdgroup and quadgroup functions and simdgroup matrices: an execution engine lowers
// those.
bool is_cross_lane(std::string_view name);

// Requires: AIR as Apple's compiler or csrc/msl writes it, in any address spaces.
// Guarantees: no call of an `air.*` function remains but cross-lane ones and those whose names are
// returned (sorted, each once), which were left as they are: unknown names, and known ones called
// with operands that do not fit. Maths functions are added to the module with internal linkage and
// the alwaysinline attribute; a pipeline that runs AlwaysInliner before its loop passes gets vector
// code. Names and their meaning: docs/design/intrinsics.md.
std::vector<std::string> lower_intrinsics(llvm::Module& module);

// Whether lower_intrinsics() has a lowering for the name; what the operands are is another matter.
bool has_lowering(std::string_view name);

} // namespace metalwright::simt
