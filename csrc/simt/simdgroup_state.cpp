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

static bool all_lanes_reach(const llvm::CallInst& barrier) {
  return barrier.getArgOperand(2) == barrier.getArgOperand(3);
}

static bool is_word(const llvm::LoadInst& load) {
  return load.isSimple() && load.getType()->isIntegerTy(32);
}

std::optional<StateUses> uses_of_state(llvm::Function& function) {
  static_assert(offsetof(SimdgroupState, index) == 0);
  StateUses uses;
  const llvm::DataLayout& layout = function.getParent()->getDataLayout();
  for (llvm::User* user : function.getArg(2)->users()) {
    if (auto* call = llvm::dyn_cast<llvm::CallInst>(user)) {
      if (!is_barrier(*call) || !all_lanes_reach(*call))
        return std::nullopt;
      uses.barriers.push_back(call);
      continue;
    }
    if (auto* load = llvm::dyn_cast<llvm::LoadInst>(user)) {
      if (!is_word(*load))
        return std::nullopt;
      uses.indices.push_back(load);
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
      if (offset == offsetof(SimdgroupState, lanes) && is_word(*load))
        uses.lanes.push_back(load);
      else if (offset != offsetof(SimdgroupState, shared))
        return std::nullopt;
    }
  }
  return uses;
}

} // namespace metalwright::simt
