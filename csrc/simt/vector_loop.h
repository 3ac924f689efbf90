// The vector-loop engine: a kernel without cross-lane operations as a loop over threads.
#pragma once

#include "air/entry_points.h"
#include "simt/thread_arguments.h"

namespace metalwright::simt {

struct VectorLoop {
  // Rows and x count in the grid; otherwise in the threadgroup, one call per threadgroup.
  bool over_grid = false;
  // The loop over x runs from one multiple of this to the next at most (periods.h); 0: to the end.
  std::uint64_t period = 0;
};

// Requires: the kernel's function is in one piece (all calls inlined), free of cross-lane
// operations, its division defined; `entry` describes that function. Guarantees: the module defines
// kEntryName as a LoopEntry and nothing else. The loop over x is marked parallel: threads are not
// ordered, so iterations do not depend on each other through device or threadgroup memory (atomics
// excepted, which the vectoriser leaves alone). Buffers are `noalias`.
VectorLoop build_vector_loop(llvm::Module& module, const air::EntryPoint& entry,
                             const ThreadgroupLayout& layout, bool masks);

} // namespace metalwright::simt
