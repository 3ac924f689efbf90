// Numbers the convergent call sites of a kernel so that exact reconvergence needs nothing but the
// numbers.
//
// The rule of the checked engine: when every live lane of a simdgroup is blocked at some site,
// exactly the lanes at the smallest number go on. Why that is the reconvergence of the structured
// program:
//  1. Numbers follow a topological order of the control flow graph in which every loop is
//  contiguous
//     (loops collapsed to a node, ordered inside by the same rule). So, back edges aside, a lane at
//     site t can never come to a site s < t. When s is the smallest number, every lane that could
//     still reach s before going round a loop is already there: the group is complete.
//  2. Only a back edge leads to a smaller number. Every loop that contains a site ends each
//  iteration
//     at a site that all lanes that go round pass, the last of the loop in the order: a marker that
//     we put at the latch, or a site that already has that property. A lane that wants to go round
//     waits there; it is released only when nobody is left at a smaller number, that is, inside the
//     loop in the same iteration (`continue` waits for the others). Lanes that left the loop
//     (`break`, `return`) wait behind it at larger numbers, because the loop is contiguous, or are
//     gone. So the lanes of a loop go from iteration to iteration together and never mix with those
//     behind it.
//  3. The sites of one innermost loop body or of straight-line code are therefore met in order by
//  the
//     largest possible groups, which is what "the active threads" are.
// Optimisation must not move sites before they have their numbers: calls are `convergent` and
// `nomerge`, and the passes that run before are chosen accordingly. Afterwards the number is an
// operand of the call: copies made by unrolling keep it, and the argument only needs that each lane
// meets the same numbers in the same order as before.
#pragma once

#include <llvm/IR/Function.h>
#include <llvm/IR/Instructions.h>

#include <string>
#include <vector>

namespace metalwright::simt {

struct Site {
  llvm::CallInst* call = nullptr; // null once the call is lowered
  std::string what;               // "threadgroup_barrier", ...
  std::string file;               // where debug locations exist
  unsigned line = 0;
  unsigned column = 0;
  std::string combine; // as ConvergentOp::combine
};

inline constexpr const char* kReconvergeMarker = "metalwright.reconverge";

// Marks every call of a convergent operation as convergent and not to be merged.
void protect_convergent_calls(llvm::Module& module);

// Requires: all calls inlined. Guarantees: the vector's index is the site's number; markers are
// calls of kReconvergeMarker. Changes the control flow only by bringing loops into simplified form
// (and making it reducible where it is not).
std::vector<Site> number_sites(llvm::Function& function);

} // namespace metalwright::simt
