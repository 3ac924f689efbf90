// Watches the values of arithmetic that Metal leaves undefined or that hardly anyone means.
#pragma once

#include "simt/check_sites.h"

#include <llvm/IR/Module.h>

namespace metalwright::simt {

// The place of an instruction in the program: where the standard library was called from.
SourcePlace place_of(const llvm::Instruction& instruction);

// Requires: an extracted kernel, before divisions are made defined and intrinsics are lowered.
// Guarantees: calls of kConditionHook, whose sites are appended to `tables`, with the codes
// division-by-zero (integers), index-overflow (signed arithmetic on the way to an address) and
// conversion-overflow (float to integer).
void check_values(llvm::Module& module, CheckTables& tables);

} // namespace metalwright::simt
