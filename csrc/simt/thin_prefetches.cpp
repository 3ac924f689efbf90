// Finds rows of prefetches by their addresses' constant distances.
#include "simt/thin_prefetches.h"

#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/ScalarEvolutionExpressions.h>
#include <llvm/IR/IntrinsicInst.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace metalwright::simt {

namespace {

constexpr std::int64_t kLine = 64;   // bytes
constexpr std::int64_t kKept = 1024; // bytes of which one prefetch stays

using Prefetches = std::vector<llvm::IntrinsicInst*>;

struct Prefetch {
  std::int64_t offset; // from the first that was found of its row
  llvm::IntrinsicInst* call;
};

// Those whose addresses are known distances apart.
struct Row {
  const llvm::SCEV* first;
  std::vector<Prefetch> prefetches;
};

Prefetches prefetches_in(llvm::BasicBlock& block) {
  Prefetches found;
  for (llvm::Instruction& instruction : block)
    if (auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
        call && call->getIntrinsicID() == llvm::Intrinsic::prefetch)
      found.push_back(call);
  return found;
}

std::vector<Row> rows_of(const Prefetches& prefetches, llvm::ScalarEvolution& evolution) {
  std::vector<Row> rows;
  for (llvm::IntrinsicInst* prefetch : prefetches) {
    const llvm::SCEV* address = evolution.getSCEV(prefetch->getArgOperand(0));
    const bool is_known = llvm::any_of(rows, [&](Row& row) {
      const auto* distance =
          llvm::dyn_cast<llvm::SCEVConstant>(evolution.getMinusSCEV(address, row.first));
      if (distance)
        row.prefetches.push_back({distance->getAPInt().getSExtValue(), prefetch});
      return distance != nullptr;
    });
    if (!is_known)
      rows.push_back({address, {{0, prefetch}}});
  }
  return rows;
}

// By how much the addresses grow in each round, if they do.
std::optional<std::int64_t> step_of(const Row& row, llvm::ScalarEvolution& evolution) {
  const auto* address = llvm::dyn_cast<llvm::SCEVAddRecExpr>(row.first);
  const auto* step =
      address ? llvm::dyn_cast<llvm::SCEVConstant>(address->getStepRecurrence(evolution)) : nullptr;
  return step ? std::optional(step->getAPInt().getSExtValue()) : std::nullopt;
}

// Where each round's lines follow the last round's without a gap, all but the first of a kilobyte.
void add_needless(Row& row, llvm::ScalarEvolution& evolution, Prefetches& needless) {
  std::vector<Prefetch>& all = row.prefetches;
  std::stable_sort(all.begin(), all.end(),
                   [](const Prefetch& a, const Prefetch& b) { return a.offset < b.offset; });
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i].offset > all[i - 1].offset + kLine)
      return;
  if (step_of(row, evolution) != all.back().offset + kLine - all.front().offset)
    return;
  std::int64_t kept = all.front().offset;
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i].offset >= kept + kKept)
      kept = all[i].offset;
    else
      needless.push_back(all[i].call);
}

} // namespace

llvm::PreservedAnalyses ThinPrefetches::run(llvm::Function& function,
                                            llvm::FunctionAnalysisManager& analyses) {
  unsigned blocks = 0;
  Prefetches needless;
  for (llvm::BasicBlock& block : function) {
    const Prefetches prefetches = prefetches_in(block);
    if (prefetches.size() < 2)
      continue;
    const std::size_t before = needless.size();
    auto& evolution = analyses.getResult<llvm::ScalarEvolutionAnalysis>(function);
    for (Row& row : rows_of(prefetches, evolution))
      add_needless(row, evolution, needless);
    blocks += needless.size() > before;
  }
  if (blocks != 1)
    return llvm::PreservedAnalyses::all();
  for (llvm::IntrinsicInst* prefetch : needless)
    prefetch->eraseFromParent();
  return llvm::PreservedAnalyses::none();
}

} // namespace metalwright::simt
