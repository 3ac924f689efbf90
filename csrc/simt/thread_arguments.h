// What a kernel's arguments are for one thread, computed from the launch memory.
#pragma once

#include "air/entry_points.h"
#include "simt/launch.h"

#include <llvm/IR/IRBuilder.h>

#include <array>
#include <vector>

namespace metalwright::simt {

// The coordinates of the thread that generated code runs; each an i32. What an engine cannot supply
// is null and must not be asked for.
struct ThreadCoordinates {
  std::array<llvm::Value*, 3> position_in_grid{};
  std::array<llvm::Value*, 3> position_in_threadgroup{};
  llvm::Value* index_in_threadgroup = nullptr;
};

// Makes values of launch memory at the builder's insertion point. `launch` and `threadgroup` point
// to a LaunchContext and a ThreadgroupContext.
class LaunchReader {
 public:
  // `known_threads`: the size of the threadgroup where the code is made for one size; 0 elsewhere.
  // `one_group`: whether there is one threadgroup along y, along z.
  LaunchReader(llvm::IRBuilder<>& builder, llvm::Value* launch, llvm::Value* threadgroup,
               std::array<std::uint32_t, 3> known_threads = {}, std::array<bool, 2> one_group = {})
      : builder_(builder), launch_(launch), threadgroup_(threadgroup), known_(known_threads),
        one_group_(one_group) {}

  llvm::Value* threads_per_grid(unsigned axis);
  llvm::Value* threadgroups_per_grid(unsigned axis);
  llvm::Value* dispatch_threads_per_threadgroup(unsigned axis);
  llvm::Value* threadgroup_position(unsigned axis);
  llvm::Value* threads_per_threadgroup(unsigned axis);
  llvm::Value* threadgroup_memory();
  llvm::Value* load(llvm::Value* base, std::size_t offset, llvm::Type* type);
  // The pointer that an argument is bound to.
  llvm::Value* argument(const Argument& argument, unsigned slot);

 private:
  llvm::IRBuilder<>& builder_;
  llvm::Value* launch_;
  llvm::Value* threadgroup_;
  bool is_one(unsigned axis) const { return axis > 0 && one_group_[axis - 1]; }

  std::array<std::uint32_t, 3> known_;
  std::array<bool, 2> one_group_;
};

// Whether the built-in is a function of the position in the grid and of the dispatch alone.
bool is_grid_built_in(air::BuiltInKind kind);

llvm::Value* built_in_value(llvm::IRBuilder<>& builder, LaunchReader& reader,
                            const air::BuiltIn& built_in, const ThreadCoordinates& thread);

// Where each threadgroup variable of the module lies in a threadgroup's block.
struct ThreadgroupLayout {
  std::vector<std::pair<llvm::GlobalVariable*, std::uint64_t>> variables;
  std::uint64_t size = 0; // rounded up to 16

  // How far apart the memories of two threadgroups are that run together. Not a multiple of a page,
  // or what lies at the same place of each would compete for the same lines of the cache.
  std::uint64_t stride() const { return (size + 63) / 64 * 64 + 64; }
};
ThreadgroupLayout layout_threadgroup_variables(llvm::Module& module);

// Replaces the variables by addresses in the block at `memory`, an argument or an instruction of
// the entry block of `function`, which alone uses them.
void place_threadgroup_variables(const ThreadgroupLayout& layout, llvm::Function& function,
                                 llvm::Value* memory);

} // namespace metalwright::simt
