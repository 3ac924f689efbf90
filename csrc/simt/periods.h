// Indices that repeat: x % m and x / c of a thread's position, by constants, in the loop over x.
#pragma once

#include <llvm/IR/Instructions.h>
#include <llvm/IR/PassManager.h>

#include <cstdint>

namespace metalwright::simt {

// The loop over x of the vector-loop engine, one block before the kernel's body was put into it.
// All its phis count up by one; `count` starts from 0 and the loop ends at `limit`.
struct ThreadLoop {
  llvm::BasicBlock* before; // its terminator goes to the loop and nowhere else
  llvm::BranchInst* latch;  // the loop, or the block behind it
  llvm::PHINode* count;
  llvm::PHINode* x; // neither passes 2^31 nor 2^32 on the way (launch.h)
  llvm::Value* limit;
  unsigned size; // instructions of the kernel's body
};

// Cuts the loop into runs that do not cross the multiples of a period: another loop around it, over
// the runs. In a run, x / c is the same for all threads where the period divides c, and x % m
// counts up by one where it divides m, so that memory is read side by side instead of gathered.
// A branch on whether x % m is less than a multiple of the period goes one way in a run; then there
// is a loop for each way, as concatenated tensors need.
//
// Guarantees: x, count and the other phis have the same values in the same order as before.
// `least`: the shortest run that pays, in threads.
struct Periods {
  std::uint64_t period = 0;          // 0: nothing of the kind is computed, and nothing was changed
  llvm::BranchInst* other = nullptr; // the latch of the second loop, if there is one
};
Periods split_at_periods(const ThreadLoop& loop, unsigned least);

// What is left of x % 2^k: LLVM's vectoriser takes it for a short counter that must not wrap, which
// it tests before the loop, and every call that crosses a multiple of 2^k would run one thread at a
// time. Behind a `freeze` it is a number like any other, whose loads are gathered. To be run right
// before the vectoriser: InstCombine moves a `freeze` into the counter.
struct HideShortCounters : llvm::PassInfoMixin<HideShortCounters> {
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
};

} // namespace metalwright::simt
