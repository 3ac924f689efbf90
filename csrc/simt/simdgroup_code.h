// The simdgroup engine: a simdgroup of 32 threads as one vector program.
#pragma once

#include "air/entry_points.h"
#include "simt/lane_function.h"
#include "simt/remarks.h"
#include "simt/sites.h"
#include "simt/vector_builder.h"

#include <llvm/Target/TargetMachine.h>

#include <variant>

namespace metalwright::simt {

struct SimdgroupCode {
  std::vector<Site> sites; // barriers, by the number that they pass to the run time
  bool has_barrier = false;
  bool is_joined = false; // one call runs the whole threadgroup: side by side (join_simdgroups.h),
  bool is_cut = false;    // or one after the other between barriers (split_at_barriers.h)
  SlotSet streams = 0;    // buffers with stores that leave the cache out
  unsigned threadgroups = 1; // that one call runs (join_threadgroups.h)
  Remarks remarks;
};

// Requires: the kernel's function is in one piece; every air.* call left is a cross-lane operation;
// the module is this engine's own, since a refusal leaves it half done.
// Guarantees: the module defines kEntryName as a SimdgroupEntry and nothing else.
std::variant<SimdgroupCode, Refusal>
build_simdgroups(llvm::Module& module, const air::EntryPoint& entry,
                 const ThreadgroupLayout& layout, const Shape& shape, llvm::TargetMachine& target);

} // namespace metalwright::simt
