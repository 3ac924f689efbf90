// Values that are known before a kernel begins: computed from a threadgroup's place and memory that
// is only read.
#pragma once

#include <llvm/IR/Function.h>
#include <llvm/IR/IRBuilder.h>

namespace metalwright::simt {

// Whether `value`, of a SimdgroupEntry that the vector builder made, is such a value and the same
// for all simdgroups. Masks of lanes are.
bool is_known_before(llvm::Function& function, llvm::Value& value);

// A function bool (launch, threadgroup) of one block that computes it; `finish` makes the result of
// what `value` is there. Null if it depends on more of the threadgroup than words, whose meaning is
// known. Requires: is_known_before().
llvm::Function*
make_condition(llvm::Function& function, llvm::Value& value,
               llvm::function_ref<llvm::Value*(llvm::IRBuilder<>&, llvm::Value*)> finish);

// What that function gives, computed at `builder` for the threadgroup `k` behind `threadgroup`
// along x.
llvm::Value* repeat_condition(llvm::IRBuilder<>& builder, const llvm::Function& condition,
                              llvm::Value* launch, llvm::Value* threadgroup, unsigned k);

} // namespace metalwright::simt
