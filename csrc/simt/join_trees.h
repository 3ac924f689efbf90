// Reductions of several vectors to one number each, done together.
#pragma once

#include <llvm/IR/Function.h>

namespace metalwright::simt {

// A reduction over the lanes adds halves of a vector until one element is left, with less to do at
// each step. Two, four or eight of them in one block become one program that packs what is left of
// several vectors into one: eight vectors take half of the instructions. What is added to what
// stays, and so do results. Requires: code of joined simdgroups or threadgroups (side_by_side.h),
// which has such neighbours.
void join_trees(llvm::Function& function);

} // namespace metalwright::simt
