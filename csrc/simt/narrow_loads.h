// Loads of the first few lanes.
#pragma once

#include <llvm/IR/PassManager.h>

namespace metalwright::simt {

// A masked load whose lanes are known to be the first 2^n becomes a load of these. `lane < groups ?
// partial[lane] : 0` is one where the number of simdgroups is known; a processor hands a load what
// was stored just before only if the load asks for no more than the store has written.
//
// Guarantees: the same bytes are read.
class NarrowLoads : public llvm::PassInfoMixin<NarrowLoads> {
 public:
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
};

} // namespace metalwright::simt
