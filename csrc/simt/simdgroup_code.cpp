// The passes of the simdgroup engine, in order.
#include "simt/simdgroup_code.h"

#include "air/verify.h"
#include "simt/alias_scopes.h"
#include "simt/early_exits.h"
#include "simt/join_simdgroups.h"
#include "simt/join_threadgroups.h"
#include "simt/join_trees.h"
#include "simt/launch.h"
#include "simt/loop_order.h"
#include "simt/optimise.h"
#include "simt/rare_magnitudes.h"
#include "simt/row_walks.h"
#include "simt/shared_loops.h"
#include "simt/simdgroup_state.h"
#include "simt/split_at_barriers.h"
#include "simt/stride_loops.h"
#include "simt/widen_threadgroups.h"

#include <llvm/Analysis/TargetTransformInfo.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/Cloning.h>
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

bool has_threadgroup_arguments(const air::EntryPoint& entry) {
  return llvm::any_of(entry.arguments, [](const Argument& argument) {
    return argument.kind == ArgumentKind::threadgroup_memory;
  });
}

// Bytes in the machine's.
std::uint64_t vector_registers(llvm::Function& function, llvm::TargetMachine& target) {
  const llvm::TargetTransformInfo machine = target.getTargetTransformInfo(function);
  const unsigned bits =
      machine.getRegisterBitWidth(llvm::TargetTransformInfo::RGK_FixedWidthVector).getFixedValue();
  return std::uint64_t{bits} / 8 *
         machine.getNumberOfRegisters(machine.getRegisterClassForType(true));
}

// Whether a loop reads buffers, as those over rows do that are longer than a threadgroup. Rows of
// several threadgroups do not fit into the first level of the cache together, and often compete for
// the same lines of it: with four at a time a sum of rows took 1.8 times as long.
bool has_loop_over_buffers(llvm::Function& function) {
  const llvm::DominatorTree dominators(function);
  const llvm::LoopInfo loops(dominators);
  auto is_of_threadgroup = [&](const llvm::Value* pointer) {
    const llvm::Value* object = llvm::getUnderlyingObject(pointer);
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(object);
    return llvm::isa<llvm::AllocaInst>(object) ||
           (load && llvm::getUnderlyingObject(load->getPointerOperand()) != function.getArg(0));
  };
  for (const llvm::BasicBlock& block : function) {
    if (!loops.getLoopFor(&block))
      continue;
    for (const llvm::Instruction& instruction : block)
      if (instruction.mayReadFromMemory()) {
        const llvm::Value* pointer = llvm::isa<llvm::IntrinsicInst>(instruction)
                                         ? instruction.getOperand(0)
                                         : llvm::getLoadStorePointerOperand(&instruction);
        if (!pointer || !pointer->getType()->isPointerTy() || !is_of_threadgroup(pointer))
          return true;
      }
  }
  return false;
}

// What the run time says of the one simdgroup of a threadgroup whose size is known.
void know_the_only_simdgroup(llvm::Function& function, const Shape& shape) {
  const std::optional<ContextUses> uses = uses_of_context(*function.getArg(2));
  if (!uses)
    return;
  for (const auto& [offset, load] : uses->loads) {
    const bool is_index = offset == offsetof(SimdgroupState, index);
    if (!load->getType()->isIntegerTy(32) ||
        (!is_index && offset != offsetof(SimdgroupState, lanes)))
      continue;
    load->replaceAllUsesWith(llvm::ConstantInt::get(load->getType(), is_index ? 0 : shape.count()));
    load->eraseFromParent();
  }
}

// Of a threadgroup with one simdgroup, whose threads all reach them. False if some may not.
bool erase_barriers(llvm::Function& function) {
  const std::optional<StateUses> uses = uses_of_state(function);
  if (!uses)
    return false;
  for (llvm::CallInst* barrier : uses->barriers)
    barrier->eraseFromParent();
  return true;
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
  const bool has_simdgroups = shape.is_full() && shape.count() > kSimdgroupSize;
  optimise_lanes(module, target, has_simdgroups);
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
  const bool has_shared_loop = share_loops(*lane, dominators, loops, shape, code.remarks);
  if (has_shared_loop)
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
  llvm::Function* entry_function = module.getFunction(kEntryName);
  const bool is_single = shape.is_known() && shape.count() <= kSimdgroupSize;
  if (is_single)
    know_the_only_simdgroup(*entry_function, shape);
  // What a shared loop gives stays a load, which all simdgroups do.
  optimise_vectors(module, target, {.may_part_loads = !has_shared_loop});
  air::verify_after(module, "optimise_vectors");
  std::vector<EarlyExit> exits;
  if (code.has_barrier && shape.is_known())
    exits = take_off_early_exits(entry_function, shape, target);
  llvm::Function& function = *entry_function;
  for (const EarlyExit& early : exits)
    for (llvm::CallInst* cut : cuts_in(*early.exit))
      cut->eraseFromParent();
  // Of the program as it is, before there are loops over simdgroups.
  const bool can_be_together =
      shape.together != 0 && !has_threadgroup_arguments(entry) && !has_loop_over_buffers(function);
  // Where several threadgroups can be one program, parts that are loops over simdgroups leave more
  // room for it.
  const bool is_side_by_side = join_simdgroups(function, shape, !can_be_together);
  code.is_cut = code.has_barrier && !is_side_by_side &&
                split_at_barriers(function, shape, vector_registers(function, target));
  const bool is_alone = is_single && erase_barriers(function);
  code.is_joined = is_side_by_side || code.is_cut;
  for (llvm::CallInst* cut : cuts_in(function))
    cut->eraseFromParent();
  if (code.is_joined || is_alone)
    code.has_barrier = false;
  bool is_widened = false;
  Rest rest{&function, &function};
  rest.is_whole = code.is_joined || is_alone;
  if (can_be_together && (code.is_cut || is_alone)) {
    if (!exits.empty()) {
      llvm::ValueToValueMapTy values;
      rest.one = llvm::CloneFunction(&function, values);
    }
    // A chain of operations that only the first simdgroup goes along leaves the machine idle, and a
    // single simdgroup is little for a call.
    const bool wants_all = has_shared_loop || is_alone;
    const unsigned count = has_shared_loop ? shape.together
                           : wants_all     ? kThreadgroupsTogether
                                           : kThreadgroupsTogether / 2;
    const ThreadgroupsTogether wanted{count, !shape.large_buffers};
    if (!shape.large_buffers)
      code.threadgroups = widen_threadgroups(function, layout, shape.together);
    is_widened = code.threadgroups > 1;
    if (is_widened)
      code.remarks.push_back(
          {{},
           0,
           "neighbouring threadgroups are the elements of vectors, for they walk down columns"});
    else
      code.threadgroups = join_threadgroups(function, layout, wanted);
    if (rest.one != &function && code.threadgroups == 1) {
      rest.one->eraseFromParent();
      rest.one = &function;
    }
  }
  if (code.is_joined || code.threadgroups > 1) {
    if (!is_widened)
      join_trees(function);
    tell_memories_apart(function);
    air::verify_after(module, "one program for all simdgroups");
    optimise_vectors(module, target, {.has_chains = code.threadgroups > 1 && !is_widened});
    air::verify_after(module, "optimise_vectors");
  }
  if (!exits.empty()) {
    rest.threadgroups = code.threadgroups;
    put_exits_before(exits, rest, shape);
    air::verify_after(module, "early exit");
    for (const EarlyExit& early : exits)
      code.remarks.push_back(
          {{},
           0,
           early.is_of_lanes
               ? "a way out before the barriers that threads take: threadgroups of which some do "
                 "have a program of their own"
               : "a way out before the barriers that whole threadgroups take: a program of its "
                 "own"});
  }
  if (shape.streams != 0) {
    code.streams = stream_stores(function, shape.streams);
    air::verify_after(module, "stream_stores");
  }
  branch_at_rare_magnitudes(*module.getFunction(kEntryName));
  air::verify_after(module, "branch_at_rare_magnitudes");
  return code;
}

} // namespace metalwright::simt
