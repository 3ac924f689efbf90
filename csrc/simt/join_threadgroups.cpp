// Finds what tells threadgroups apart: their place along x, their memory.
#include "simt/join_threadgroups.h"

#include "simt/interleave_walks.h"
#include "simt/join_gathers.h"
#include "simt/launch.h"
#include "simt/side_by_side.h"
#include "simt/simdgroup_state.h"

#include <llvm/IR/IRBuilder.h>

#include <cstddef>
#include <optional>

namespace metalwright::simt {

// The address of the k-th threadgroup's element is that of the first one's and a number, in the
// form in which LLVM sees that these are neighbours.
static void extend_before(llvm::BinaryOperator& place) {
  for (llvm::User* user : llvm::make_early_inc_range(place.users())) {
    auto* extension = llvm::dyn_cast<llvm::CastInst>(user);
    if (!extension || !llvm::isa<llvm::SExtInst, llvm::ZExtInst>(extension))
      continue;
    llvm::IRBuilder<> builder(extension);
    llvm::Value* first =
        builder.CreateCast(extension->getOpcode(), place.getOperand(0), extension->getType());
    const auto* distance = llvm::cast<llvm::ConstantInt>(place.getOperand(1));
    extension->replaceAllUsesWith(builder.CreateAdd(
        first, llvm::ConstantInt::get(extension->getType(), distance->getZExtValue()), "",
        llvm::isa<llvm::ZExtInst>(extension), true));
    extension->eraseFromParent();
  }
}

unsigned join_threadgroups(llvm::Function& function, const ThreadgroupLayout& layout,
                           const ThreadgroupsTogether& wanted) {
  const std::uint64_t stride = layout.stride();
  const std::optional<ContextUses> of_threadgroup = uses_of_context(*function.getArg(1));
  const std::optional<ContextUses> of_simdgroup = uses_of_context(*function.getArg(2));
  if (!of_threadgroup || !of_simdgroup || !of_threadgroup->calls.empty() ||
      !of_simdgroup->calls.empty())
    return 1;
  llvm::DenseMap<llvm::Instruction*, std::uint64_t> strides; // of pointers
  const llvm::DenseMap<llvm::Instruction*, std::int64_t> positions =
      places_along_x(*of_threadgroup);
  std::vector<llvm::Instruction*> sources;
  std::vector<llvm::Instruction*> memory;
  for (const auto& [offset, load] : of_threadgroup->loads) {
    if (offset == offsetof(ThreadgroupContext, memory)) {
      strides[load] = stride;
      memory.push_back(load);
    } else if (!load->getType()->isIntegerTy(32))
      return 1; // several words in one
    else if (!positions.contains(load))
      continue;
    sources.push_back(load);
  }
  for (const auto& [offset, load] : of_simdgroup->loads) {
    if (offset != offsetof(SimdgroupState, shared))
      return 1;
    strides[load] = kSharedMemory;
    sources.push_back(load);
  }
  std::vector<llvm::BinaryOperator*> places; // of threadgroups behind the first
  const auto value = [&](llvm::Instruction& source, unsigned k) -> llvm::Value* {
    if (k == 0)
      return &source;
    llvm::IRBuilder<> builder(source.getParent(), std::next(source.getIterator()));
    if (const auto found = strides.find(&source); found != strides.end())
      return builder.CreateInBoundsGEP(builder.getInt8Ty(), &source,
                                       builder.getInt64(k * found->second));
    // The first one is a multiple of how many there are: they lie on one side of 2^31.
    llvm::Value* place = builder.CreateAdd(&source, builder.getInt32(k), "", true, true);
    places.push_back(llvm::cast<llvm::BinaryOperator>(place));
    return place;
  };
  std::vector<std::vector<llvm::Instruction*>> walks;
  const auto merge = [&](llvm::ArrayRef<llvm::Instruction*> all) {
    if (llvm::isa<llvm::LoadInst>(all.front())) {
      walks.emplace_back(all);
      return;
    }
    std::vector<llvm::IntrinsicInst*> gathers;
    for (llvm::Instruction* gather : all)
      gathers.push_back(llvm::cast<llvm::IntrinsicInst>(gather));
    merge_gathers(gathers);
  };
  SideBySide runs{.function = function,
                  .count = wanted.count,
                  .sources = std::move(sources),
                  .value = value,
                  .same = find_common_quotients(function, positions),
                  .may_flatten = true,
                  .made = merge};
  if (wanted.can_merge_gathers)
    for (llvm::IntrinsicInst* gather : find_neighbouring_gathers(function, positions)) {
      runs.followed.push_back(gather);
      runs.count = kThreadgroupsTogether;
    }
  llvm::append_range(runs.followed, find_memory_walks(function, memory));
  for (; runs.count >= kThreadgroupsTogether / 2; runs.count /= 2)
    if (stride * runs.count <= kMemoryTogether && join_side_by_side(runs)) {
      for (llvm::BinaryOperator* place : places)
        extend_before(*place);
      interleave_walks(function, walks);
      return runs.count;
    }
  return 1;
}

} // namespace metalwright::simt
