// All simdgroups of a threadgroup in one program that is cut at its barriers: a loop over the
// simdgroups runs what stands before the first barrier, another one what follows, and so on.
#pragma once

#include "simt/lane_function.h"

#include <llvm/IR/Function.h>

#include <cstdint>

namespace metalwright::simt {

// Cuts the function where every simdgroup passes every barrier once: no barrier stands in a loop or
// in a branch, and all 32 lanes reach it. Between barriers simdgroups may take different ways. The
// first simdgroup goes first, as without this pass. What is the same for all simdgroups is computed
// once before the loop; a load only if nothing can have been written since the barrier. Values of
// one simdgroup that are needed after a barrier are computed again if that is cheap, or put aside.
//
// It is cut too at the ends of loops that all threads go round alike (stride_loops.h); simdgroups
// go round these side by side, as many as half of the machine's vector registers have room for.
//
// Requires: a SimdgroupEntry that the vector builder made and that was optimised; `registers` bytes
// are in the machine's vector registers.
// Guarantees: true if it changed the function: then one call of it runs the threadgroup, it has no
// barriers, and it should be optimised again.
bool split_at_barriers(llvm::Function& function, const Shape& shape, std::uint64_t registers);

} // namespace metalwright::simt
