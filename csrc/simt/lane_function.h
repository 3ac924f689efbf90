// The kernel as a function of one lane, from which the simdgroup engine makes vector code.
#pragma once

#include "air/entry_points.h"
#include "simt/stream_stores.h"
#include "simt/thread_arguments.h"

#include <llvm/IR/Function.h>

#include <array>

namespace metalwright::simt {

// What code is made for.
struct Shape {
  // The threads of every threadgroup that runs this code; {0, 0, 0}: whatever the threadgroup says.
  std::array<std::uint32_t, 3> threads{};
  // Some buffer has 4 GiB or more (lane_analysis.h says what that changes).
  bool large_buffers = false;
  // With an unknown size: y and z are 1.
  bool one_row = false;
  // With a known size: one threadgroup lies along y, along z. TorchInductor's reductions take their
  // index in a row from the position in the grid, which is only then that in the threadgroup.
  std::array<bool, 2> one_group{};
  // With a known size: along x lies a multiple of so many threadgroups, kThreadgroupsTogether or
  // kMostThreadgroups, all of this size; 0: it does not.
  std::uint32_t together = 0;
  // Buffers that the kernel only stores to, whose stores leave the cache out.
  SlotSet streams = 0;
  // No other thread of the machine runs this dispatch, nor another with atomic operations at the
  // same time: these need not be atomic.
  bool is_alone = false;

  bool is_known() const { return threads[0] != 0; }
  std::uint32_t count() const { return threads[0] * threads[1] * threads[2]; }
  // Every simdgroup has 32 threads.
  bool is_full() const { return is_known() && count() % kSimdgroupSize == 0; }
  auto operator<=>(const Shape&) const = default;
};

// A call of this function is the lane's index in its simdgroup: the one thing in which lanes
// differ.
inline constexpr const char* kLaneFunction = "metalwright.lane";

// Requires: the kernel's function is in one piece; `entry` describes it.
// Guarantees: a function (launch, threadgroup, simdgroup) of the types of SimdgroupEntry, in which
// built-ins are computed from kLaneFunction and launch memory so that what is the same for a whole
// simdgroup does not depend on the lane; the kernel's own function is gone. Loads from buffers that
// the kernel only reads are `!invariant.load`: buffers do not alias.
llvm::Function* build_lane_function(llvm::Module& module, const air::EntryPoint& entry,
                                    const ThreadgroupLayout& layout, const Shape& shape);

} // namespace metalwright::simt
