// The passes of the simdgroup engine, in order.
#include "simt/simdgroup_code.h"

#include "air/verify.h"
#include "simt/join_simdgroups.h"
#include "simt/launch.h"
#include "simt/loop_order.h"
#include "simt/optimise.h"
#include "simt/row_walks.h"
#include "simt/shared_loops.h"
#include "simt/split_at_barriers.h"

#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/LCSSA.h>
#include <llvm/Transforms/Utils/LoopSimplify.h>
#include <llvm/Transforms/Utils/LoopUtils.h>

namespace metalwright::simt {

namespace {

// One block that returns. A thread that gets to what cannot be got to has ended as well.
void unify_ends(llvm::Function& function) {
  llvm::BasicBlock* end = llvm::BasicBlock::Create(function.getContext(), "end", &function);
  for (llvm::BasicBlock& block : function) {
    if (&block == end)
      continue;
    llvm::Instruction* terminator = block.getTerminator();
    if (!llvm::isa<llvm::ReturnInst>(terminator) && !llvm::isa<llvm::UnreachableInst>(terminator))
      continue;
    llvm::BranchInst::Create(end, terminator->getIterator());
    terminator->eraseFromParent();
  }
  llvm::ReturnInst::Create(function.getContext(), end);
}

void bring_into_form(llvm::LoopInfo& loops, llvm::DominatorTree& dominators) {
  const std::vector<llvm::Loop*> top_level(loops.begin(), loops.end());
  for (llvm::Loop* loop : top_level)
    llvm::simplifyLoop(loop, &dominators, &loops, nullptr, nullptr, nullptr, false);
  for (llvm::Loop* loop : loops)
    llvm::formLCSSARecursively(*loop, dominators, &loops, nullptr);
}

} // namespace

std::variant<SimdgroupCode, Refusal>
build_simdgroups(llvm::Module& module, const air::EntryPoint& entry,
                 const ThreadgroupLayout& layout, const Shape& shape, llvm::TargetMachine& target) {
  llvm::Function* lane = build_lane_function(module, entry, layout, shape);
  air::verify_after(module, "build_lane_function");
  optimise_lanes(module, target);
  unify_ends(*lane);
  make_reducible(*lane);
  llvm::DominatorTree dominators(*lane);
  llvm::LoopInfo loops(dominators);
  bring_into_form(loops, dominators);
  air::verify_after(module, "loops");
  auto renew = [&](const char* pass) {
    air::verify_after(module, pass);
    dominators.recalculate(*lane);
    loops.releaseMemory();
    loops.analyze(dominators);
    bring_into_form(loops, dominators);
  };
  SimdgroupCode code;
  if (share_loops(*lane, dominators, loops, shape, code.remarks))
    renew("share_loops");
  if (join_row_walks(*lane, dominators, loops, shape.large_buffers, code.remarks))
    renew("join_row_walks");
  try {
    const LaneAnalysis analysis(*lane, dominators, loops, shape.large_buffers);
    VectorBuilder builder(*lane, analysis, loops, shape, kEntryName);
    builder.build();
    code.sites = std::move(builder.sites());
    code.has_barrier = builder.has_barrier();
    code.remarks.insert(code.remarks.end(), builder.remarks().begin(), builder.remarks().end());
  } catch (Refusal& refusal) {
    return std::move(refusal);
  }
  lane->eraseFromParent();
  if (llvm::Function* function = module.getFunction(kLaneFunction))
    function->eraseFromParent();
  air::verify_after(module, "vector_builder");
  optimise_vectors(module, target);
  air::verify_after(module, "optimise_vectors");
  llvm::Function& function = *module.getFunction(kEntryName);
  const bool is_side_by_side = join_simdgroups(function, shape);
  code.is_cut = code.has_barrier && !is_side_by_side && split_at_barriers(function, shape);
  code.is_joined = is_side_by_side || code.is_cut;
  if (code.is_joined) {
    code.has_barrier = false;
    air::verify_after(module, "one program for all simdgroups");
    optimise_vectors(module, target);
    air::verify_after(module, "optimise_vectors");
  }
  return code;
}

} // namespace metalwright::simt
