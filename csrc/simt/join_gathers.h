// Gathers of runs side by side whose elements lie side by side: neighbouring threadgroups that each
// walk down a column of their own. Each lane's elements of all runs are loaded whole and transposed
// in registers: a machine gathers one element after the other.
#pragma once

#include "simt/launch.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/IR/IntrinsicInst.h>

#include <vector>

namespace metalwright::simt {

// Gathers from memory that is only read, of 32 elements of 32 bits, whose addresses are one element
// further in each run, for the same lanes. `steps`: what has another value in each run, and by how
// much it is more than in the run before. Indices of 32 bits are assumed not to wrap between runs,
// since both elements are accessed.
std::vector<llvm::IntrinsicInst*>
find_neighbouring_gathers(llvm::Function& function,
                          const llvm::DenseMap<llvm::Instruction*, std::int64_t>& steps,
                          unsigned runs = kThreadgroupsTogether);

// Quotients that are the same for all runs of a program, where the first one's place along x is a
// multiple of `runs`.
std::vector<llvm::Instruction*>
find_common_quotients(llvm::Function& function,
                      const llvm::DenseMap<llvm::Instruction*, std::int64_t>& steps,
                      unsigned runs = kThreadgroupsTogether);

// Requires: such a gather of the first run, and those of the runs behind it, in order, in the same
// block behind it; a multiple of four.
// Guarantees: they are gone.
void merge_gathers(llvm::ArrayRef<llvm::IntrinsicInst*> gathers);

} // namespace metalwright::simt
