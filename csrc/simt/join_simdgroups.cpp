// All simdgroups of a threadgroup in one vector program.
#include "simt/join_simdgroups.h"

#include "simt/launch.h"
#include "simt/side_by_side.h"
#include "simt/simdgroup_state.h"
#include "simt/stride_loops.h"

#include <llvm/Analysis/LoopInfo.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/Dominators.h>

#include <optional>

namespace metalwright::simt {

static bool has_loop(llvm::Function& function) {
  const llvm::DominatorTree dominators(function);
  return !llvm::LoopInfo(dominators).empty();
}

bool join_simdgroups(llvm::Function& function, const Shape& shape, bool may_part) {
  if (!shape.is_full() || shape.count() == kSimdgroupSize)
    return false;
  const std::optional<StateUses> uses = uses_of_state(function);
  if (!uses || !uses->lanes.empty() || (uses->barriers.empty() && !has_loop(function)))
    return false;
  std::vector<llvm::Instruction*> fences{uses->barriers.begin(), uses->barriers.end()};
  for (llvm::CallInst* cut : cuts_in(function))
    fences.push_back(cut);
  const bool is_joined =
      join_side_by_side({.function = function,
                         .count = shape.count() / kSimdgroupSize,
                         .sources = {uses->indices.begin(), uses->indices.end()},
                         .value = [](llvm::Instruction& index, unsigned k) -> llvm::Value* {
                           return llvm::ConstantInt::get(index.getType(), k);
                         },
                         .fences = std::move(fences),
                         .may_part = may_part});
  if (!is_joined)
    return false;
  for (llvm::CallInst* barrier : uses->barriers)
    barrier->eraseFromParent();
  for (llvm::LoadInst* index : uses->indices)
    index->eraseFromParent();
  return true;
}

} // namespace metalwright::simt
