// What a SimdgroupEntry reads of its simdgroup's state.
#include "simt/simdgroup_state.h"

#include "simt/launch.h"
#include "simt/vector_builder.h"

#include <llvm/IR/Module.h>

#include <cstddef>

namespace metalwright::simt {

static bool is_barrier(const llvm::CallInst& call) {
  const llvm::Function* callee = call.getCalledFunction();
  return callee && callee->getName() == kSimdgroupBarrierFunction;
}

bool all_lanes_reach(const llvm::CallInst* barrier) {
  return barrier->getArgOperand(2) == barrier->getArgOperand(3);
}

std::optional<ContextUses> uses_of_context(llvm::Argument& context) {
  ContextUses uses;
  const llvm::DataLayout& layout = context.getParent()->getParent()->getDataLayout();
  for (llvm::User* user : context.users()) {
    if (auto* call = llvm::dyn_cast<llvm::CallInst>(user)) {
      uses.calls.push_back(call);
      continue;
    }
    if (auto* load = llvm::dyn_cast<llvm::LoadInst>(user)) {
      uses.loads.emplace_back(0, load);
      continue;
    }
    auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(user);
    llvm::APInt offset(64, 0);
    if (!address || !address->accumulateConstantOffset(layout, offset))
      return std::nullopt;
    for (llvm::User* reader : address->users()) {
      auto* load = llvm::dyn_cast<llvm::LoadInst>(reader);
      if (!load)
        return std::nullopt;
      uses.loads.emplace_back(offset.getZExtValue(), load);
    }
  }
  const bool is_simple =
      llvm::all_of(uses.loads, [](const auto& load) { return load.second->isSimple(); });
  return is_simple ? std::optional(std::move(uses)) : std::nullopt;
}

llvm::DenseMap<llvm::Instruction*, std::int64_t> places_along_x(const ContextUses& threadgroup) {
  llvm::DenseMap<llvm::Instruction*, std::int64_t> places;
  for (const auto& [offset, load] : threadgroup.loads)
    if (offset == offsetof(ThreadgroupContext, position) && load->getType()->isIntegerTy(32))
      places[load] = 1;
  return places;
}

std::optional<StateUses> uses_of_state(llvm::Function& function, bool lanes_may_part) {
  const std::optional<ContextUses> all = uses_of_context(*function.getArg(2));
  if (!all)
    return std::nullopt;
  StateUses uses;
  for (llvm::CallInst* call : all->calls) {
    if (!is_barrier(*call) || !(lanes_may_part || all_lanes_reach(call)))
      return std::nullopt;
    uses.barriers.push_back(call);
  }
  for (const auto& [offset, load] : all->loads) {
    const bool is_word = load->getType()->isIntegerTy(32);
    if (offset == offsetof(SimdgroupState, index) && is_word)
      uses.indices.push_back(load);
    else if (offset == offsetof(SimdgroupState, lanes) && is_word)
      uses.lanes.push_back(load);
    else if (offset != offsetof(SimdgroupState, shared))
      return std::nullopt;
  }
  return uses;
}

} // namespace metalwright::simt
