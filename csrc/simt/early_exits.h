// Ways out of a kernel before its first barrier that a threadgroup takes as a whole or not at all:
// `if (row >= rows) return;`, or a check of what the threadgroup reads.
#pragma once

#include "simt/lane_function.h"

#include <llvm/IR/Function.h>

#include <vector>

namespace metalwright::simt {

struct EarlyExit {
  llvm::Function* leaves = nullptr; // bool (launch, threadgroup): whether the threadgroup does
  llvm::Function* exit = nullptr;   // a SimdgroupEntry: what those do; it has no barriers
};

// Where such a way out makes all barriers stand in a branch: takes it off. What is left of
// `function` is what threadgroups do that stay, so its barriers may stand in line and it can be cut
// and joined; its name is no longer kEntryName.
// Several of them are taken off one after the other, as they come in the program.
// Requires: a SimdgroupEntry that the vector builder made and that was optimised.
std::vector<EarlyExit> take_off_early_exits(llvm::Function& function);

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
