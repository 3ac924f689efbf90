// The order of the passes.
#include "simt/kernel_code.h"

#include "air/verify.h"
#include "errors.h"
#include "simt/arithmetic.h"
#include "simt/bfloat.h"
#include "simt/convergent_ops.h"
#include "simt/extract.h"
#include "simt/instrument.h"
#include "simt/lower_intrinsics.h"
#include "simt/matrix_forms.h"
#include "simt/optimise.h"
#include "simt/rare_magnitudes.h"
#include "simt/value_checks.h"
#include "simt/vector_loop.h"

#include <llvm/Analysis/AssumptionCache.h>
#include <llvm/Analysis/CFG.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/IR/DebugInfoMetadata.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/Transforms/Utils/Cloning.h>
#include <llvm/Transforms/Utils/LowerAtomic.h>

#include <set>

namespace metalwright::simt {

namespace {

void define_divisions(llvm::Module& module) {
  for (llvm::Function& function : module)
    if (!function.isDeclaration())
      define_division(function);
}

bool asks_for_simdgroup_size(llvm::StringRef name) {
  return name.starts_with("air.get_simdgroup_size") ||
         name.starts_with("air.get_threads_per_simdgroup");
}

// An entry point that the front end put around a function of the program has no scope of its own,
// but the code of that function, whose places count only in a function that has one.
void adopt_scope(llvm::Function& kernel) {
  for (llvm::Instruction& instruction : llvm::instructions(kernel)) {
    const llvm::DebugLoc& location = instruction.getDebugLoc();
    if (!location)
      continue;
    llvm::DISubprogram* scope =
        llvm::cast<llvm::DILocalScope>(location->getInlinedAtScope())->getSubprogram();
    if (!kernel.getSubprogram())
      kernel.setSubprogram(scope);
    else if (kernel.getSubprogram() != scope)
      instruction.setDebugLoc({}); // of a function that is not this one
  }
}

// Queries that have one answer on this device.
void fold_queries(llvm::Module& module) {
  for (llvm::Function& function : llvm::make_early_inc_range(module)) {
    llvm::StringRef name = function.getName();
    const bool size = asks_for_simdgroup_size(name);
    // `is_uniform` is only ever assumed to hold.
    if (!size && !name.starts_with("air.is_uniform"))
      continue;
    if (!function.getReturnType()->isIntegerTy())
      continue;
    for (llvm::User* user : llvm::make_early_inc_range(function.users()))
      if (auto* call = llvm::dyn_cast<llvm::CallInst>(user)) {
        call->replaceAllUsesWith(
            llvm::ConstantInt::get(call->getType(), size ? kSimdgroupSize : 1));
        call->eraseFromParent();
      }
    if (function.use_empty())
      function.eraseFromParent();
  }
}

bool has_masks(const llvm::TargetMachine& target) {
  const llvm::MCSubtargetInfo& subtarget = *target.getMCSubtargetInfo();
  return target.getTargetTriple().isX86() ? subtarget.checkFeatures("+avx512bw,+avx512vl,+avx512dq")
                                          : subtarget.checkFeatures("+sve");
}

[[noreturn]] void refuse(const air::EntryPoint& entry, const std::string& intrinsics) {
  throw Error(errors::unsupported_intrinsic, "kernel '" + entry.name + "' uses " + intrinsics +
                                                 ", which the CPU device does not support");
}

void require_known(const air::EntryPoint& entry, const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names)
    list += (list.empty() ? "" : ", ") + name;
  if (!list.empty())
    refuse(entry, list);
}

// The first cross-lane operation, as the reason for the engine; an empty string without one.
std::string find_cross_lane(const air::EntryPoint& entry, const llvm::Function& kernel) {
  std::string first;
  for (const llvm::Instruction& instruction : llvm::instructions(kernel)) {
    const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
    const llvm::Function* callee = call ? call->getCalledFunction() : nullptr;
    if (!callee || !callee->getName().starts_with("air."))
      continue;
    if (!convergent_op(*call))
      refuse(entry, callee->getName().str());
    if (first.empty())
      first = callee->getName().str();
  }
  return first;
}

bool has_long_loop(llvm::Function& kernel) {
  constexpr unsigned unrolled = 16;
  llvm::DominatorTree dominators(kernel);
  llvm::LoopInfo loops(dominators);
  if (loops.empty())
    return false;
  llvm::TargetLibraryInfoImpl no_library;
  no_library.disableAllFunctions();
  llvm::TargetLibraryInfo library(no_library);
  llvm::AssumptionCache assumptions(kernel);
  llvm::ScalarEvolution evolution(kernel, library, assumptions, dominators, loops);
  return llvm::any_of(loops.getLoopsInPreorder(), [&](llvm::Loop* loop) {
    const unsigned rounds = evolution.getSmallConstantTripCount(loop);
    return rounds == 0 || rounds > unrolled;
  });
}

// What could not be inlined: functions that call themselves. They may stay unless they touch what
// only the kernel's own function can be given. True if there are any.
bool check_calls(const air::EntryPoint& entry, const llvm::Module& module,
                 const ThreadgroupLayout& layout) {
  auto refuse_recursion = [&](const std::string& what) {
    throw Error(errors::unsupported_recursion, "kernel '" + entry.name + "': " + what);
  };
  bool recursive = false;
  for (const llvm::Function& function : module)
    for (const llvm::Instruction& instruction : llvm::instructions(function)) {
      const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
      const llvm::Function* callee = call ? call->getCalledFunction() : nullptr;
      if (call && !callee && !call->isInlineAsm())
        refuse_recursion("calls through function pointers are not supported");
      if (&function == entry.function)
        continue;
      recursive = true;
      if (callee && is_convergent_name(callee->getName()))
        refuse_recursion("the recursive function " + function.getName().str() +
                         " calls a barrier, simdgroup or quadgroup function");
      for (const llvm::Use& operand : instruction.operands())
        for (const auto& [variable, offset] : layout.variables)
          if (operand->stripPointerCasts() == variable)
            refuse_recursion("the recursive function " + function.getName().str() +
                             " uses a threadgroup variable: pass it as an argument");
    }
  return recursive;
}

// An atomic operation is rare where something else is done by those who do not come to it, and not
// by those who do: a kernel that reports an error returns then.
void find_atomics(PreparedKernel& kernel) {
  std::vector<const llvm::Instruction*> atomics;
  std::vector<const llvm::Instruction*> effects;
  for (const llvm::Instruction& instruction : llvm::instructions(*kernel.entry.function))
    if (llvm::isa<llvm::AtomicRMWInst, llvm::AtomicCmpXchgInst>(instruction))
      atomics.push_back(&instruction);
    else if (instruction.mayHaveSideEffects())
      effects.push_back(&instruction);
  const auto is_rare = [&](const llvm::Instruction* atomic) {
    return llvm::any_of(effects, [&](const llvm::Instruction* effect) {
      return effect->getParent() != atomic->getParent() &&
             !llvm::isPotentiallyReachable(atomic, effect) &&
             !llvm::isPotentiallyReachable(effect, atomic);
    });
  };
  kernel.has_atomics = !atomics.empty();
  kernel.has_rare_atomics = kernel.has_atomics && llvm::all_of(atomics, is_rare);
}

} // namespace

const char* name(Engine engine) {
  switch (engine) {
  case Engine::vector_loop:
    return "vector-loop";
  case Engine::checked:
    return "checked";
  case Engine::simdgroup:
    return "simdgroup";
  }
  return "";
}

bool is_supported_intrinsic(llvm::StringRef name) {
  llvm::StringRef matrix = name;
  if (matrix.consume_front("air.simdgroup_matrix_8x8_"))
    return llvm::is_contained<llvm::StringRef>(
        {"load", "store", "init_filled", "init_diag", "multiply", "multiply_accumulate"},
        matrix.split('.').first);
  return is_convergent_name(name) || asks_for_simdgroup_size(name) || has_lowering(name);
}

PreparedKernel prepare_kernel(const air::EntryPoint& original, llvm::TargetMachine& target,
                              bool observed) {
  PreparedKernel kernel;
  kernel.observed = observed;
  kernel.entry = original;
  ExtractedKernel extracted =
      extract(original, target.createDataLayout(), target.getTargetTriple().str());
  llvm::Module& module = *extracted.module;
  air::EntryPoint& entry = kernel.entry;
  entry.function = extracted.function;
  air::verify_after(module, "extract");

  if (observed)
    check_values(module, kernel.checks);
  else
    define_divisions(module);
  fold_queries(module);
  unify_matrix_calls(module);
  protect_convergent_calls(module);
  std::vector<std::string> unknown = lower_intrinsics(module);
  std::erase_if(unknown, [](const std::string& name) { return is_convergent_name(name); });
  require_known(entry, unknown);
  air::verify_after(module, "lower_intrinsics");

  if (observed) {
    inline_calls(module, *entry.function, target);
    promote_initialised_variables(*entry.function);
  } else {
    simplify(module, *entry.function, target);
    adopt_scope(*entry.function);
  }
  kernel.layout = layout_threadgroup_variables(module);
  kernel.is_recursive = check_calls(entry, module, kernel.layout);
  for (air::BuiltIn& built_in : entry.built_ins)
    built_in.type = entry.function->getArg(built_in.position)->getType();
  for (llvm::Function& function : module)
    if (!function.isDeclaration())
      lower_bfloat(function);
  air::verify_after(module, "lower_bfloat");
  kernel.cross_lane = find_cross_lane(entry, *entry.function);
  find_atomics(kernel);
  kernel.has_loop = !observed && has_long_loop(*entry.function);
  if (!observed && !kernel.is_recursive && has_streaming_stores(target))
    kernel.only_stored = buffers_only_stored(entry);
  kernel.module = std::move(extracted.module);
  return kernel;
}

PreparedKernel copy(const PreparedKernel& kernel) {
  llvm::ValueToValueMapTy values;
  PreparedKernel result;
  result.module = llvm::CloneModule(*kernel.module, values);
  result.entry = kernel.entry;
  result.entry.function = llvm::cast<llvm::Function>(values[kernel.entry.function]);
  result.layout.size = kernel.layout.size;
  for (const auto& [variable, offset] : kernel.layout.variables)
    result.layout.variables.emplace_back(llvm::cast<llvm::GlobalVariable>(values[variable]),
                                         offset);
  result.is_recursive = kernel.is_recursive;
  result.cross_lane = kernel.cross_lane;
  result.has_loop = kernel.has_loop;
  result.has_atomics = kernel.has_atomics;
  result.has_rare_atomics = kernel.has_rare_atomics;
  result.only_stored = kernel.only_stored;
  result.observed = kernel.observed;
  result.checks = kernel.checks;
  return result;
}

namespace {

KernelCode start(const PreparedKernel& kernel, Engine engine) {
  KernelCode code;
  code.engine = engine;
  code.is_recursive = kernel.is_recursive;
  return code;
}

// Of code in its final form.
void make_atomics_plain(llvm::Module& module) {
  for (llvm::Function& function : module)
    for (llvm::Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function)))
      if (auto* change = llvm::dyn_cast<llvm::AtomicRMWInst>(&instruction))
        llvm::lowerAtomicRMWInst(change);
      else if (auto* exchange = llvm::dyn_cast<llvm::AtomicCmpXchgInst>(&instruction))
        llvm::lowerAtomicCmpXchgInst(exchange);
  air::verify_after(module, "make_atomics_plain");
}

KernelCode finish(KernelCode code, PreparedKernel& kernel) {
  for (const auto& [global, offset] : kernel.layout.variables)
    global->eraseFromParent();
  code.module = std::move(kernel.module);
  return code;
}

} // namespace

KernelCode lower_to_loop(PreparedKernel kernel, llvm::TargetMachine& target, const Shape& shape) {
  KernelCode code = start(kernel, Engine::vector_loop);
  const VectorLoop loop =
      build_vector_loop(*kernel.module, kernel.entry, kernel.layout, has_masks(target));
  code.over_grid = loop.over_grid;
  code.period = loop.period;
  air::verify_after(*kernel.module, "build_vector_loop");
  optimise(*kernel.module, target);
  inline_body(*kernel.module->getFunction(kEntryName));
  adopt_scope(*kernel.module->getFunction(kEntryName)); // it has the loop's code now
  air::verify_after(*kernel.module, "optimise");
  if (shape.streams != 0) {
    code.streams = stream_stores(*kernel.module->getFunction(kEntryName), shape.streams);
    air::verify_after(*kernel.module, "stream_stores");
  }
  branch_at_rare_magnitudes(*kernel.module->getFunction(kEntryName));
  air::verify_after(*kernel.module, "branch_at_rare_magnitudes");
  if (shape.is_alone)
    make_atomics_plain(*kernel.module);
  return finish(std::move(code), kernel);
}

KernelCode lower_to_lanes(PreparedKernel kernel, llvm::TargetMachine& target) {
  KernelCode code = start(kernel, Engine::checked);
  Checked checked = build_checked(*kernel.module, kernel.entry, kernel.layout, kernel.observed);
  code.sites = std::move(checked.sites);
  code.has_barrier = checked.has_barrier;
  air::verify_after(*kernel.module, "build_checked");
  if (kernel.observed) {
    code.checks = std::move(kernel.checks);
    instrument(*kernel.module, *kernel.module->getFunction(kEntryName), kernel.layout, code.checks);
    define_divisions(*kernel.module);
    air::verify_after(*kernel.module, "instrument");
  }
  optimise(*kernel.module, target);
  air::verify_after(*kernel.module, "optimise");
  return finish(std::move(code), kernel);
}

std::variant<KernelCode, Refusal> lower_to_simdgroups(PreparedKernel kernel, const Shape& shape,
                                                      llvm::TargetMachine& target) {
  KernelCode code = start(kernel, Engine::simdgroup);
  if (kernel.is_recursive)
    return Refusal{"a function calls itself", {}, 0};
  std::variant<SimdgroupCode, Refusal> made =
      build_simdgroups(*kernel.module, kernel.entry, kernel.layout, shape, target);
  if (auto* refusal = std::get_if<Refusal>(&made))
    return std::move(*refusal);
  code.sites = std::move(std::get<SimdgroupCode>(made).sites);
  code.has_barrier = std::get<SimdgroupCode>(made).has_barrier;
  code.is_joined = std::get<SimdgroupCode>(made).is_joined;
  code.streams = std::get<SimdgroupCode>(made).streams;
  code.is_cut = std::get<SimdgroupCode>(made).is_cut;
  code.threadgroups = std::get<SimdgroupCode>(made).threadgroups;
  code.remarks = std::move(std::get<SimdgroupCode>(made).remarks);
  if (shape.is_alone)
    make_atomics_plain(*kernel.module);
  return finish(std::move(code), kernel);
}

} // namespace metalwright::simt
