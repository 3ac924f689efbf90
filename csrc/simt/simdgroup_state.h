// What a SimdgroupEntry reads of its simdgroup's state, for the passes that run several simdgroups
// in one program.
#pragma once

#include <llvm/ADT/DenseMap.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/Instructions.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace metalwright::simt {

// What a function does with memory that the run time hands to it.
struct ContextUses {
  std::vector<std::pair<std::uint64_t, llvm::LoadInst*>> loads; // by their offset, all simple
  std::vector<llvm::CallInst*> calls;                           // which are given the address
};

// None if it does something else with it.
std::optional<ContextUses> uses_of_context(llvm::Argument& context);

// The loads of a SimdgroupEntry's place along x, each with 1: by how much it is more in the next
// threadgroup.
llvm::DenseMap<llvm::Instruction*, std::int64_t> places_along_x(const ContextUses& threadgroup);

struct StateUses {
  std::vector<llvm::CallInst*> barriers; // all of which all lanes reach
  std::vector<llvm::LoadInst*> indices;  // loads of the simdgroup's index
  std::vector<llvm::LoadInst*> lanes;    // loads of how many threads it has
};

// None if the function does something else with its state than what is listed and reading the
// address of the memory that simdgroups share, or has a barrier that some lanes may not reach,
// unless `lanes_may_part`.
std::optional<StateUses> uses_of_state(llvm::Function& function, bool lanes_may_part = false);

// Of a call in it.
bool all_lanes_reach(const llvm::CallInst* barrier);

} // namespace metalwright::simt
