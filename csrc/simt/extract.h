// One kernel in a module of its own.
#pragma once

#include "air/entry_points.h"

#include <llvm/IR/DataLayout.h>
#include <llvm/IR/Module.h>

#include <memory>

namespace metalwright::simt {

struct ExtractedKernel {
  std::unique_ptr<llvm::Module> module;
  llvm::Function* function = nullptr;
};

// Requires: a valid AIR module.
// Guarantees: a new module, in the same context, holding `entry.function` and what it reaches and
// nothing else. Every address space is 0; casts between spaces are gone. Threadgroup variables are
// globals without a useful initialiser, marked by the section kThreadgroupSection; constants are
// constants. Loads from `constant` memory are `!invariant.load`. Functions carry no attributes of
// Apple's target and are not `mustprogress`: a loop that never ends is a user's mistake that we
// stop, not undefined behaviour.
ExtractedKernel extract(const air::EntryPoint& entry, const llvm::DataLayout& layout,
                        const std::string& triple);

inline constexpr const char* kThreadgroupSection = "metalwright.threadgroup";

} // namespace metalwright::simt
