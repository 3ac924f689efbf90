// Finds rows of prefetches by their addresses' constant distances.
#include "simt/thin_prefetches.h"

#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/ScalarEvolutionExpressions.h>
#include <llvm/IR/IntrinsicInst.h>

#include <algorithm>
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

// Of each stretch without a gap that is long enough, those that may go.
void add_needless(std::vector<Prefetch>& row, Prefetches& needless) {
  std::stable_sort(row.begin(), row.end(),
                   [](const Prefetch& a, const Prefetch& b) { return a.offset < b.offset; });
  for (std::size_t begin = 0, end = 0; begin < row.size(); begin = end) {
    for (end = begin + 1; end < row.size() && row[end].offset <= row[end - 1].offset + kLine;)
      ++end;
    if (row[end - 1].offset + kLine - row[begin].offset < kKept)
      continue;
    std::int64_t kept = row[begin].offset;
    for (std::size_t i = begin + 1; i < end; ++i)
      if (row[i].offset >= kept + kKept)
        kept = row[i].offset;
      else
        needless.push_back(row[i].call);
  }
}

} // namespace

llvm::PreservedAnalyses ThinPrefetches::run(llvm::Function& function,
                                            llvm::FunctionAnalysisManager& analyses) {
  unsigned blocks = 0;
  Prefetches needless;
  for (llvm::BasicBlock& block : function) {
    const Prefetches prefetches = prefetches_in(block);
    if (prefetches.size() < kKept / kLine)
      continue;
    const std::size_t before = needless.size();
    auto& evolution = analyses.getResult<llvm::ScalarEvolutionAnalysis>(function);
    for (Row& row : rows_of(prefetches, evolution))
      add_needless(row.prefetches, needless);
    blocks += needless.size() > before;
  }
  if (blocks != 1)
    return llvm::PreservedAnalyses::all();
  for (llvm::IntrinsicInst* prefetch : needless)
    prefetch->eraseFromParent();
  return llvm::PreservedAnalyses::none();
}

} // namespace metalwright::simt
