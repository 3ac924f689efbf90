// The optimisation runs of a kernel: before its threads are put together, and after.
#pragma once

#include <llvm/IR/Module.h>
#include <llvm/Target/TargetMachine.h>

namespace metalwright::simt {

// The attribute of functions whose instructions stand in the order that suits the registers: the
// code generator's scheduler would mix products of matrices that were put together on purpose, and
// spill twice as much.
inline constexpr const char* kOrderedAttribute = "metalwright-ordered";

// Inlines every call of a defined function into `kernel` and brings it into clean SSA form. Passes
// that could copy or merge convergent calls are not among these. Functions that call themselves
// stay.
void simplify(llvm::Module& module, llvm::Function& kernel, llvm::TargetMachine& target);

// The inlining alone.
void inline_calls(llvm::Module& module, llvm::Function& kernel, llvm::TargetMachine& target);

// The rest, with LLVM's loop vectoriser at the machine's full width.
void optimise(llvm::Module& module, llvm::TargetMachine& target);

// The one call of a function in `entry` becomes that function's body: what its arguments promise
// has been used, and a second function costs the code generator half a millisecond.
void inline_body(llvm::Function& entry);

// A kernel as a function of one lane, before it becomes vector code: loops in their best form,
// small ones unrolled so that private arrays become values, switches gone.
// `has_simdgroups`: each threadgroup has whole ones, and several of them.
void optimise_lanes(llvm::Module& module, llvm::TargetMachine& target, bool has_simdgroups);

struct VectorRun {
  // What is computed once for a threadgroup stands there several times, for several of them, and
  // becomes vectors.
  bool has_chains = false;
  // A load may become the value that was stored there on some of the ways to it.
  bool may_part_loads = true;
};

// Vector code: what optimise() does but for finding vectors. Marks its functions as ordered.
void optimise_vectors(llvm::Module& module, llvm::TargetMachine& target, const VectorRun& run);

// Of such code, what follows from constants that have been put into it.
void simplify_vectors(llvm::Function& function, llvm::TargetMachine& target);

} // namespace metalwright::simt
