// The checked engine: a kernel as a function of one thread, which blocks in the run time where it
// has to meet others.
#pragma once

#include "air/entry_points.h"
#include "simt/sites.h"
#include "simt/thread_arguments.h"

namespace metalwright::simt {

struct Checked {
  std::vector<Site> sites; // by number; calls are gone
  bool has_barrier = false;
};

// What generated code calls; the run time defines them. `site` is the number, `combine` a function
// of launch.h's type Combine, declared as kCombinePrefix + its name.
inline constexpr const char* kBarrierFunction = "metalwright.barrier"; // (lane, site)
inline constexpr const char* kMeetFunction = "metalwright.meet";       // (lane, site)
inline constexpr const char* kCollectiveFunction =
    "metalwright.collective"; // (lane, site, combine, count)
inline constexpr const char* kCombinePrefix = "metalwright.combine.";

// How operands lie in Lane::operands. Values and results as they are, vectors without padding
// between elements, bools as bytes of 0 or 1. Votes take a 32-bit 0 or 1 and give 64 bits.
// Movements take the fill in operands[1], the lane, delta or mask as 32 bits in operands[2], the
// modulo (32 without one) after it.

// Requires: the kernel's function is in one piece; every air.* call left is a cross-lane operation.
// Guarantees: the module defines kEntryName as a LaneEntry and nothing else. `observed`: for
// instrument.h, so threadgroup variables stay global, and barriers say what memory they order.
Checked build_checked(llvm::Module& module, const air::EntryPoint& entry,
                      const ThreadgroupLayout& layout, bool observed = false);

} // namespace metalwright::simt
