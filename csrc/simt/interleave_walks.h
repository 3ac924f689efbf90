// What a loop of several threadgroups reads along their threadgroup memory, put side by side.
#pragma once

#include "simt/thread_arguments.h"

#include <llvm/ADT/ArrayRef.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/Instructions.h>

#include <vector>

namespace metalwright::simt {

// The loads by which a loop that computes one number after the other, as a shared loop does
// (shared_loops.h), walks through `memory`, an address in it for each: if several threadgroups run
// such a loop together, their numbers are the elements of vectors, but what they load lies apart.
std::vector<llvm::Instruction*> find_memory_walks(llvm::Function& function,
                                                  llvm::ArrayRef<llvm::Instruction*> memory);

// `walks`: such loads, of each one those of all threadgroups in order. Every 64 rounds what follows
// is loaded, four elements at a time, transposed in registers and kept in a small array, from which
// a round reads neighbouring elements.
void interleave_walks(llvm::Function& function,
                      llvm::ArrayRef<std::vector<llvm::Instruction*>> walks);

} // namespace metalwright::simt
