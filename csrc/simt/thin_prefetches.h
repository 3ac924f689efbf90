// Prefetches of neighbouring lines, once all simdgroups are one program.
#pragma once

#include <llvm/IR/PassManager.h>

namespace metalwright::simt {

// In a program with one loop whose rounds ask for lines without a gap, each for those that follow
// the last round's, one prefetch in each kilobyte of a round stays. Memory that is gone through
// line by line is fetched ahead by the processor itself, but only up to the end of a page: what has
// to be asked for is the next page, and asking for each line takes room from the loads. Where there
// are several such loops, the threadgroup goes through its memory again or writes what follows from
// it, and lines of the next threadgroup can arrive meanwhile. Then all prefetches stay, and so do
// those with gaps: between what one simdgroup reads and what it reads next lie lines that others
// read later.
//
// Guarantees: nothing but prefetches changes.
class ThinPrefetches : public llvm::PassInfoMixin<ThinPrefetches> {
 public:
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
};

} // namespace metalwright::simt
