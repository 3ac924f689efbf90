// Several runs of one program as one program: each operation is done for the first, the second, and
// so on. What the runs have in common is done once, and their chains of operations overlap.
#pragma once

#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/Instructions.h>

#include <vector>

namespace metalwright::simt {

struct SideBySide {
  llvm::Function& function;
  unsigned count; // runs
  // Instructions that have another value in each run. What run `k` has instead is made by
  // `value(instruction, k)`, for each k from 0; it may insert instructions behind this one, which
  // loses its uses.
  std::vector<llvm::Instruction*> sources;
  llvm::function_ref<llvm::Value*(llvm::Instruction&, unsigned k)> value;
  // Instructions that are kept as they are; what stands before one of them is done for all runs
  // before it.
  std::vector<llvm::Instruction*> fences = {};
  // Instructions that are known to have the same value in all runs.
  std::vector<llvm::Instruction*> same = {};
  // Branches at which runs part and whose ways only compute may be flattened (flatten.h).
  bool may_flatten = false;
  // Branches at which runs part may be taken by one run after the other, as long as the ways meet
  // again, with no fence or source on them. Not together with `may_flatten`.
  bool may_part = false;
  // Where the program is not the whole function: its blocks. It is entered by the first one alone,
  // and nothing outside uses its values.
  std::vector<llvm::BasicBlock*> blocks = {};
  // Instructions of which it is to be known afterwards what each run has: `made` is called with
  // those of all runs, in order, if there are several.
  std::vector<llvm::Instruction*> followed = {};
  llvm::function_ref<void(llvm::ArrayRef<llvm::Instruction*>)> made = {};
};

// Joins the runs if all take the same way through the program: no branch, but for those that are
// flattened or gone along apart, depends on what differs (the sources, private memory, effects,
// what was computed from these). Programs that get too long are left alone. Loads at the same
// address are the same for all unless a run writes there between the same two fences: a race, of
// which nothing is promised. True if it changed the function, which should then be optimised again.
bool join_side_by_side(const SideBySide& runs);

} // namespace metalwright::simt
