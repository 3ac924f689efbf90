// Loops in which a threadgroup strides over a row: `for (i = t; i < n; i += threads)`, or by
// another constant step that i is less than at first.
#pragma once

#include <llvm/IR/Instructions.h>
#include <llvm/IR/PassManager.h>

namespace metalwright::simt {

// A call of this function, (i1 is_begin), is a place at which split_at_barriers() may cut although
// there is no barrier. Else it does nothing.
inline constexpr const char* kCutFunction = "metalwright.cut";

// The calls of it.
std::vector<llvm::CallInst*> cuts_in(llvm::Function& function);

// Splits such loops: the rounds that all threads of the threadgroup go round alike, which are as
// many as n / step, become a loop of their own in front of the rest, which is a branch if nothing
// speaks against it. The loop has no masks, and between two cuts simdgroups can go round it side by
// side, through memory in order.
//
// Requires: a function of one lane, whose loops are not rotated.
// Guarantees: every thread does what it did, in the same order. Loops are split only where all
// threads pass, once, and only in functions of which the same is true of all barriers.
class SplitStrideLoops : public llvm::PassInfoMixin<SplitStrideLoops> {
 public:
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
};

} // namespace metalwright::simt
