// Finds what tells threadgroups apart: their place along x, their memory.
#include "simt/join_threadgroups.h"

#include "simt/launch.h"
#include "simt/side_by_side.h"

#include <llvm/IR/IRBuilder.h>

#include <cstddef>
#include <optional>

namespace metalwright::simt {

namespace {

// How far apart the memories of two threadgroups are. Not a multiple of a page, or what lies at the
// same place of each would compete for the same lines of the cache.
std::uint64_t stride_of(const ThreadgroupLayout& layout) {
  return llvm::alignTo(layout.size, 64) + 64;
}

// Loads from the memory that `context` points to, by their offset. None if something else is done
// with it.
std::optional<std::vector<std::pair<std::uint64_t, llvm::LoadInst*>>>
loads_of(llvm::Argument& context, const llvm::DataLayout& layout) {
  std::vector<std::pair<std::uint64_t, llvm::LoadInst*>> found;
  for (llvm::User* user : context.users()) {
    if (auto* load = llvm::dyn_cast<llvm::LoadInst>(user)) {
      found.emplace_back(0, load);
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
      found.emplace_back(offset.getZExtValue(), load);
    }
  }
  for (const auto& [offset, load] : found)
    if (!load->isSimple())
      return std::nullopt;
  return found;
}

} // namespace

bool join_threadgroups(llvm::Function& function, const ThreadgroupLayout& layout, unsigned count) {
  const std::uint64_t stride = stride_of(layout);
  if (stride * count > kMaxThreadgroupMemory)
    return false;
  const llvm::DataLayout& data = function.getParent()->getDataLayout();
  const auto of_threadgroup = loads_of(*function.getArg(1), data);
  const auto of_simdgroup = loads_of(*function.getArg(2), data);
  if (!of_threadgroup || !of_simdgroup)
    return false;
  llvm::DenseMap<llvm::Instruction*, std::uint64_t> strides; // of pointers
  std::vector<llvm::Instruction*> sources;
  for (const auto& [offset, load] : *of_threadgroup) {
    const bool is_memory = offset == offsetof(ThreadgroupContext, memory);
    if (!is_memory && !load->getType()->isIntegerTy(32))
      return false; // several words in one
    if (is_memory)
      strides[load] = stride;
    if (is_memory || offset == offsetof(ThreadgroupContext, position))
      sources.push_back(load);
  }
  for (const auto& [offset, load] : *of_simdgroup) {
    if (offset != offsetof(SimdgroupState, shared))
      return false;
    strides[load] = kSharedMemory;
    sources.push_back(load);
  }
  const auto value = [&](llvm::Instruction& source, unsigned k) -> llvm::Value* {
    if (k == 0)
      return &source;
    llvm::IRBuilder<> builder(source.getParent(), std::next(source.getIterator()));
    if (const auto found = strides.find(&source); found != strides.end())
      return builder.CreateInBoundsGEP(builder.getInt8Ty(), &source,
                                       builder.getInt64(k * found->second));
    return builder.CreateAdd(&source, builder.getInt32(k), "", true);
  };
  return join_side_by_side({function, count, std::move(sources), value, {}, true});
}

} // namespace metalwright::simt
