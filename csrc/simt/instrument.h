// The sanitiser's instrumentation of a kernel for the checked engine.
#pragma once

#include "simt/check_sites.h"
#include "simt/thread_arguments.h"

#include <llvm/IR/Module.h>

namespace metalwright::simt {

// Variables that have a value wherever they are read become values: nothing can be found in them.
void promote_initialised_variables(llvm::Function& function);

// Requires: `entry` is a LaneEntry that checked.h built, with the threadgroup variables of `layout`
// still global; divisions are as the program has them.
// Guarantees: every access of the program to memory asks kAccessHook where it goes; copies and
// fills are hooks; local and threadgroup variables are regions of `tables`; LLVM's MemorySanitizer,
// in its form for kernels, follows undefined values, and its warnings are kUndefinedHook.
void instrument(llvm::Module& module, llvm::Function& entry, const ThreadgroupLayout& layout,
                CheckTables& tables);

} // namespace metalwright::simt
