// Ways out of a kernel before its first barrier: `if (row >= rows) return;`, or a check of what the
// threadgroup reads. Those that a threadgroup takes as a whole or not at all, and in threadgroups
// of one simdgroup also those that some lanes take.
#pragma once

#include "simt/lane_function.h"

#include <llvm/IR/Function.h>
#include <llvm/Target/TargetMachine.h>

#include <vector>

namespace metalwright::simt {

struct EarlyExit {
  // bool (launch, threadgroup): whether the threadgroup does, or some lanes of it.
  llvm::Function* leaves = nullptr;
  // A SimdgroupEntry: what those threadgroups do. It has no barriers: where some lanes have left
  // and others get to one, it tells the run time (kSimdgroupDivergedFunction) and ends.
  llvm::Function* exit = nullptr;
  bool is_of_lanes = false; // some lanes may leave and others stay
};

// Where such a way out makes all barriers stand in a branch, or keeps lanes from a barrier: takes
// it off. `function` becomes what threadgroups do that stay, so its barriers may stand in line and
// it can be cut and joined; its name is no longer kEntryName.
// Several of them are taken off one after the other, as they come in the program.
// Requires: a SimdgroupEntry that the vector builder made and that was optimised, for a shape whose
// size is known.
std::vector<EarlyExit> take_off_early_exits(llvm::Function*& function, const Shape& shape,
                                            llvm::TargetMachine& target);

// How a function is called that does what is left.
struct Rest {
  llvm::Function* all = nullptr; // runs `threadgroups` of them, or one simdgroup of one
  llvm::Function* one = nullptr; // runs one; `all` if that is what it does
  unsigned threadgroups = 1;
  bool is_whole = false; // a call runs whole threadgroups
};

// Makes kEntryName, which does as `rest.all` for threadgroups that stay. Where one of those that
// `rest.all` would run leaves, each is run by itself.
llvm::Function& put_exits_before(llvm::ArrayRef<EarlyExit> exits, const Rest& rest,
                                 const Shape& shape);

} // namespace metalwright::simt
