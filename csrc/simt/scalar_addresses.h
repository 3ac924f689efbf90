// Addresses that are computed for 32 lanes and used for a few.
#pragma once

#include <llvm/IR/PassManager.h>

namespace metalwright::simt {

// Where few elements of a vector of integers or pointers are extracted and these can be computed
// alone, from scalars that were spread and constants, they are. A load of a row for each half of a
// simdgroup needs two addresses; as elements of vectors they are computed where floats are, at the
// cost of as many products, and no loop keeps what stays the same.
class ScalarAddresses : public llvm::PassInfoMixin<ScalarAddresses> {
 public:
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
};

} // namespace metalwright::simt
