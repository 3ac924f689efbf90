// From a kernel of an AIR module to LLVM IR that is ready for code generation.
#pragma once

#include "air/entry_points.h"
#include "simt/check_sites.h"
#include "simt/checked.h"
#include "simt/simdgroup_code.h"
#include "simt/stream_stores.h"

#include <llvm/IR/Module.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace metalwright::simt {

enum class Engine { vector_loop, checked, simdgroup };
const char* name(Engine engine);

// A kernel in one piece: what every engine starts from. The module is in the context of the one it
// came from and must go before it.
struct PreparedKernel {
  std::unique_ptr<llvm::Module> module;
  air::EntryPoint entry; // its function is the module's
  ThreadgroupLayout layout;
  bool is_recursive = false; // some function calls itself: no bound on the stack is known
  std::string cross_lane;    // the first operation that talks across lanes; empty: there is none
  // A loop of the program's own, of more rounds than are unrolled: LLVM vectorises the threads
  // around it only without one.
  bool has_loop = false;
  bool has_atomics = false;      // operations that read, change and write memory
  bool has_rare_atomics = false; // all of them on ways that leave the kernel's other effects out
  SlotSet only_stored = 0;       // buffers whose stores may leave the cache out
  bool observed = false;         // for the sanitiser: only lower_to_lanes() takes it
  CheckTables checks;
};

// Throws Error("unsupported-intrinsic"), Error("unsupported-recursion").
PreparedKernel prepare_kernel(const air::EntryPoint& entry, llvm::TargetMachine& target,
                              bool observed = false);
PreparedKernel copy(const PreparedKernel& kernel);

struct KernelCode {
  std::unique_ptr<llvm::Module> module; // defines kEntryName
  Engine engine = Engine::vector_loop;
  bool over_grid = false;    // vector_loop: LoopEntry counts in the grid
  std::uint64_t period = 0;  // vector_loop: see simt/periods.h
  bool has_barrier = false;  // the others
  bool is_joined = false;    // simdgroup: one call runs a whole threadgroup
  unsigned threadgroups = 1; // ... or that many, one behind the other along x
  SlotSet streams = 0;       // buffers with stores that leave the cache out
  bool is_cut = false;       // that one has a loop over simdgroups between two barriers
  bool is_recursive = false; // no bound on the stack is known
  std::vector<Site> sites;   // where threads may wait, by number
  CheckTables checks;        // of a kernel that is observed
  Remarks remarks;           // simdgroup: what is not plain vector code, and why
};

// Whether some lowering takes an `air.*` function of this name; a call of it may still have
// operands that none takes.
bool is_supported_intrinsic(llvm::StringRef name);

// vector_loop: requires that nothing talks across lanes. Of `shape`, what is not of threadgroups
// counts.
KernelCode lower_to_loop(PreparedKernel kernel, llvm::TargetMachine& target,
                         const Shape& shape = {});
// checked: takes every kernel.
KernelCode lower_to_lanes(PreparedKernel kernel, llvm::TargetMachine& target);
// simdgroup: code for one shape, or why there is none.
std::variant<KernelCode, Refusal> lower_to_simdgroups(PreparedKernel kernel, const Shape& shape,
                                                      llvm::TargetMachine& target);

} // namespace metalwright::simt
