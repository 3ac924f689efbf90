// What a module's `!air.kernel` says about its kernels, as data.
#pragma once

#include "device.h"

#include <llvm/IR/Module.h>

#include <string>
#include <vector>

namespace metalwright::air {

// The values that the device passes to a thread, by MSL's names.
enum class BuiltInKind : std::uint8_t {
  thread_position_in_grid,
  threads_per_grid,
  threadgroup_position_in_grid,
  threadgroups_per_grid,
  thread_position_in_threadgroup,
  threads_per_threadgroup,
  dispatch_threads_per_threadgroup,
  thread_index_in_threadgroup,
  thread_index_in_simdgroup,
  simdgroup_index_in_threadgroup,
  simdgroups_per_threadgroup,
  dispatch_simdgroups_per_threadgroup,
  threads_per_simdgroup,
  thread_index_in_quadgroup,
  quadgroup_index_in_threadgroup,
  quadgroups_per_threadgroup,
  dispatch_quadgroups_per_threadgroup,
  grid_origin,
};
const char* name(BuiltInKind kind);

struct BuiltIn {
  BuiltInKind kind;
  unsigned position = 0;      // which argument of the LLVM function
  llvm::Type* type = nullptr; // i16, i32, <2 x i16>, ... <3 x i32>
};

struct EntryPoint {
  llvm::Function* function = nullptr;
  std::string name;
  std::vector<Argument> arguments;          // what can be bound
  std::vector<unsigned> argument_positions; // which LLVM argument each is
  // The global that decides whether an argument is there, or null; parallel to `arguments`.
  std::vector<llvm::GlobalVariable*> conditions;
  std::vector<BuiltIn> built_ins;
  std::uint64_t max_total_threads_per_threadgroup = 1024;
};

// All kernels of the module, in its order. The metadata may come from a hostile file: every operand
// is checked and the first mistake throws Error("invalid-air") saying where it is.
std::vector<EntryPoint> read_entry_points(llvm::Module& module);

} // namespace metalwright::air
