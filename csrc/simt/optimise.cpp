// Pass pipelines: short, because the time that they take is the user's compile time.
#include "simt/optimise.h"

#include "simt/narrow_loads.h"
#include "simt/periods.h"
#include "simt/scalar_addresses.h"
#include "simt/scaling.h"
#include "simt/stride_loops.h"
#include "simt/thin_prefetches.h"

#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/ScalarEvolutionExpressions.h>
#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Transforms/IPO/AlwaysInliner.h>
#include <llvm/Transforms/IPO/GlobalDCE.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/ADCE.h>
#include <llvm/Transforms/Scalar/DeadStoreElimination.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/GVN.h>
#include <llvm/Transforms/Scalar/IndVarSimplify.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopDeletion.h>
#include <llvm/Transforms/Scalar/LoopIdiomRecognize.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/LoopRotation.h>
#include <llvm/Transforms/Scalar/LoopUnrollPass.h>
#include <llvm/Transforms/Scalar/MemCpyOptimizer.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/Cloning.h>
#include <llvm/Transforms/Utils/LowerSwitch.h>
#include <llvm/Transforms/Vectorize/LoopVectorize.h>
#include <llvm/Transforms/Vectorize/SLPVectorizer.h>
#include <llvm/Transforms/Vectorize/VectorCombine.h>

namespace metalwright::simt {

namespace {

struct Analyses {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager call_graph;
  llvm::ModuleAnalysisManager modules;

  explicit Analyses(llvm::TargetMachine& target) : builder(&target) {
    // No function of the C library exists for kernels: nothing may be turned into a call of one.
    functions.registerPass([&] {
      llvm::TargetLibraryInfoImpl library(target.getTargetTriple());
      library.disableAllFunctions();
      for (llvm::LibFunc known :
           {llvm::LibFunc_memcpy, llvm::LibFunc_memmove, llvm::LibFunc_memset})
        library.setAvailable(known);
      return llvm::TargetLibraryAnalysis(library);
    });
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(call_graph);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, call_graph, modules);
  }

  llvm::PassBuilder builder;
};

} // namespace

static void set_target(llvm::Module& module, llvm::TargetMachine& target) {
  for (llvm::Function& function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.getTargetCPU());
    function.addFnAttr("target-features", target.getTargetFeatureString());
    function.addFnAttr("prefer-vector-width", "512");
    // Under fast math LLVM would divide and take roots by the processor's estimates. They differ
    // from one processor to the next, and for subnormal dividends the result is neither the
    // quotient nor zero, which is what Metal's specification leaves open.
    function.addFnAttr("reciprocal-estimates", "none");
  }
}

// InstCombine takes the minimum of two halves as a half what was lowered to floats, and fast math
// makes it of comparisons. The code generator turns vectors of those into calls of fminf and fmaxf,
// which nobody has linked.
static void widen_half_extrema(llvm::Function& function) {
  for (llvm::Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
    if (!call || !call->getType()->getScalarType()->isHalfTy())
      continue;
    const llvm::Intrinsic::ID id = call->getIntrinsicID();
    if (id != llvm::Intrinsic::minnum && id != llvm::Intrinsic::maxnum)
      continue;
    llvm::IRBuilder<> builder(call);
    builder.setFastMathFlags(call->getFastMathFlags());
    llvm::Type* wide = call->getType()->getWithNewType(builder.getFloatTy());
    llvm::Value* result =
        builder.CreateBinaryIntrinsic(id, builder.CreateFPExt(call->getArgOperand(0), wide),
                                      builder.CreateFPExt(call->getArgOperand(1), wide));
    call->replaceAllUsesWith(builder.CreateFPTrunc(result, call->getType()));
    call->eraseFromParent();
  }
}

// What every chain of passes begins with.
static void add_cleaning(llvm::FunctionPassManager& passes) {
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass(true));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
}

void inline_calls(llvm::Module& module, llvm::Function& kernel, llvm::TargetMachine& target) {
  Analyses analyses(target);
  llvm::ModulePassManager passes;
  for (llvm::Function& function : module) {
    if (function.isDeclaration())
      continue;
    function.removeFnAttr(llvm::Attribute::NoInline);
    if (&function != &kernel)
      function.addFnAttr(llvm::Attribute::AlwaysInline);
  }
  passes.addPass(llvm::AlwaysInlinerPass(true));
  passes.addPass(llvm::GlobalDCEPass());
  passes.run(module, analyses.modules);
}

void simplify(llvm::Module& module, llvm::Function& kernel, llvm::TargetMachine& target) {
  inline_calls(module, kernel, target);
  Analyses analyses(target);
  llvm::ModulePassManager passes;
  llvm::FunctionPassManager function;
  add_cleaning(function);
  passes.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(function)));
  passes.run(module, analyses.modules);
}

void optimise(llvm::Module& module, llvm::TargetMachine& target) {
  set_target(module, target);
  Analyses analyses(target);
  llvm::FunctionPassManager passes;
  add_cleaning(passes);
  {
    llvm::LoopPassManager loops;
    loops.addPass(llvm::LoopRotatePass());
    loops.addPass(llvm::LICMPass(llvm::LICMOptions()));
    passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loops), true));
  }
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::InstCombinePass());
  {
    llvm::LoopPassManager loops;
    loops.addPass(llvm::LoopIdiomRecognizePass());
    loops.addPass(llvm::IndVarSimplifyPass());
    loops.addPass(llvm::LoopDeletionPass());
    loops.addPass(llvm::LoopFullUnrollPass(2));
    passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loops)));
  }
  // Arrays that unrolling made addressable by constants become registers.
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::GVNPass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::DSEPass());
  passes.addPass(llvm::ADCEPass());
  passes.addPass(llvm::SimplifyCFGPass(llvm::SimplifyCFGOptions()
                                           .convertSwitchRangeToICmp(true)
                                           .hoistCommonInsts(true)
                                           .sinkCommonInsts(true)));
  {
    llvm::LoopPassManager loops;
    loops.addPass(llvm::LICMPass(llvm::LICMOptions()));
    passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loops), true));
  }
  passes.addPass(HideShortCounters());
  passes.addPass(llvm::LoopVectorizePass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SLPVectorizerPass());
  passes.addPass(llvm::VectorCombinePass());
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::LoopUnrollPass(llvm::LoopUnrollOptions(2)));
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::PreserveCFG));
  passes.addPass(llvm::InstCombinePass());
  {
    llvm::LoopPassManager loops;
    loops.addPass(llvm::LICMPass(llvm::LICMOptions()));
    passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loops), true));
  }
  passes.addPass(llvm::SimplifyCFGPass());
  for (llvm::Function& function : module)
    if (!function.isDeclaration()) {
      passes.run(function, analyses.functions);
      widen_half_extrema(function);
    }
}

void inline_body(llvm::Function& entry) {
  for (llvm::Instruction& instruction : llvm::instructions(entry)) {
    auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
    llvm::Function* body = call ? call->getCalledFunction() : nullptr;
    if (!body || body->isDeclaration())
      continue;
    llvm::InlineFunctionInfo information;
    if (llvm::InlineFunction(*call, information).isSuccess() && body->use_empty())
      body->eraseFromParent();
    return;
  }
}

namespace {

// Loops of few rounds that go through a private array are unrolled whatever their size: as values
// its elements stay in registers, as memory they are gathered lane by lane. Not the loops around
// them, in whose rounds the same elements are used.
class UnrollThroughArrays : public llvm::PassInfoMixin<UnrollThroughArrays> {
 public:
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses) {
    auto& loops = analyses.getResult<llvm::LoopAnalysis>(function);
    auto& evolution = analyses.getResult<llvm::ScalarEvolutionAnalysis>(function);
    for (llvm::Loop* loop : loops.getLoopsInPreorder()) {
      const unsigned rounds = evolution.getSmallConstantTripCount(loop);
      if (rounds == 0 || rounds > 32 || !goes_through_array(*loop, evolution))
        continue;
      llvm::LLVMContext& context = function.getContext();
      loop->setLoopID(llvm::makePostTransformationMetadata(
          context, loop->getLoopID(), {"llvm.loop.unroll."},
          {llvm::MDNode::get(context, {llvm::MDString::get(context, "llvm.loop.unroll.full")})}));
    }
    return llvm::PreservedAnalyses::all();
  }

 private:
  static bool goes_through_array(const llvm::Loop& loop, llvm::ScalarEvolution& evolution) {
    for (const llvm::BasicBlock* block : loop.blocks())
      for (llvm::Instruction& instruction : const_cast<llvm::BasicBlock&>(*block)) {
        auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(&instruction);
        if (address && !address->hasAllConstantIndices() &&
            llvm::isa<llvm::AllocaInst>(llvm::getUnderlyingObject(address)) &&
            moves_with(*evolution.getSCEV(address), loop))
          return true;
      }
    return false;
  }

  // Whether `address` depends on the round of `loop` itself, or nobody can tell.
  static bool moves_with(const llvm::SCEV& address, const llvm::Loop& loop) {
    return llvm::SCEVExprContains(&address, [&](const llvm::SCEV* part) {
      if (const auto* moving = llvm::dyn_cast<llvm::SCEVAddRecExpr>(part))
        return moving->getLoop() == &loop;
      const auto* unknown = llvm::dyn_cast<llvm::SCEVUnknown>(part);
      const auto* value =
          unknown ? llvm::dyn_cast<llvm::Instruction>(unknown->getValue()) : nullptr;
      return value && loop.contains(value);
    });
  }
};

} // namespace

void optimise_lanes(llvm::Module& module, llvm::TargetMachine& target, bool has_simdgroups) {
  set_target(module, target);
  Analyses analyses(target);
  llvm::FunctionPassManager passes;
  add_cleaning(passes);
  if (has_simdgroups)
    passes.addPass(SplitStrideLoops());
  {
    llvm::LoopPassManager loops;
    loops.addPass(llvm::LoopRotatePass());
    loops.addPass(llvm::LICMPass(llvm::LICMOptions()));
    passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loops), true));
  }
  passes.addPass(llvm::InstCombinePass());
  {
    llvm::LoopPassManager loops;
    loops.addPass(llvm::IndVarSimplifyPass());
    loops.addPass(llvm::LoopDeletionPass());
    passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loops)));
    passes.addPass(UnrollThroughArrays());
    passes.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LoopFullUnrollPass(2)));
  }
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::GVNPass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::DSEPass());
  passes.addPass(llvm::ADCEPass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::LowerSwitchPass());
  for (llvm::Function& function : module)
    if (!function.isDeclaration())
      passes.run(function, analyses.functions);
}

static constexpr unsigned kStackAlignment = 64; // a register of the widest machines

void optimise_vectors(llvm::Module& module, llvm::TargetMachine& target, const VectorRun& run) {
  set_target(module, target);
  Analyses analyses(target);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::EarlyCSEPass(true));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(ScalarAddresses());
  passes.addPass(NarrowLoads());
  {
    llvm::LoopPassManager loops;
    loops.addPass(llvm::LICMPass(llvm::LICMOptions()));
    passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loops), true));
  }
  passes.addPass(llvm::GVNPass(llvm::GVNOptions().setLoadPRE(run.may_part_loads)));
  if (run.has_chains) {
    passes.addPass(llvm::DSEPass());
    passes.addPass(llvm::SLPVectorizerPass());
  }
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::ADCEPass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(ThinPrefetches());
  for (llvm::Function& function : module)
    if (!function.isDeclaration()) {
      passes.run(function, analyses.functions);
      use_scaling_instructions(function, target);
      function.addFnAttr(kOrderedAttribute);
      // Else a vector that is put aside on the stack lies across two cache lines, since the code
      // generator cannot align the frame any more when it finds that it needs the room.
      function.addFnAttr(llvm::Attribute::getWithStackAlignment(function.getContext(),
                                                                llvm::Align(kStackAlignment)));
      widen_half_extrema(function);
    }
}

void simplify_vectors(llvm::Function& function, llvm::TargetMachine& target) {
  Analyses analyses(target);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.run(function, analyses.functions);
}

} // namespace metalwright::simt
