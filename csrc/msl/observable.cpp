// Inlines in two steps, library into library and then everything, with a clean-up of the library
// in between.
#include "msl/observable.h"

#include "msl/session.h"

#include <llvm/IR/DebugInfoMetadata.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/PassManager.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Transforms/IPO/AlwaysInliner.h>
#include <llvm/Transforms/IPO/GlobalDCE.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/InferAddressSpaces.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>

namespace metalwright::msl {

namespace {

bool is_library(const llvm::Function& function) {
  const llvm::DISubprogram* subprogram = function.getSubprogram();
  return subprogram && subprogram->getFilename().starts_with(kLibraryFolder);
}

struct Analyses {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder;
  Analyses() {
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(components);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, components, modules);
  }
};

void inline_calls(llvm::Module& module) {
  Analyses analyses;
  llvm::ModulePassManager passes;
  passes.addPass(llvm::AlwaysInlinerPass(/*InsertLifetimeIntrinsics=*/false));
  passes.addPass(llvm::GlobalDCEPass());
  passes.run(module, analyses.modules);
}

} // namespace

void make_observable(llvm::Module& module) {
  for (llvm::Function& function : module) {
    if (function.isDeclaration() || is_library(function))
      continue;
    for (llvm::Instruction& instruction : llvm::instructions(function))
      if (auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
          call && !llvm::isa<llvm::IntrinsicInst>(call)) {
        call->addFnAttr(llvm::Attribute::NoInline);
        call->addFnAttr(llvm::Attribute::get(module.getContext(), "metalwright.kept"));
      }
  }
  inline_calls(module);
  {
    Analyses analyses;
    llvm::FunctionPassManager passes;
    passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
    passes.addPass(llvm::InferAddressSpacesPass(0));
    passes.addPass(llvm::EarlyCSEPass());
    passes.addPass(llvm::SimplifyCFGPass());
    for (llvm::Function& function : module)
      if (!function.isDeclaration() && is_library(function))
        passes.run(function, analyses.functions);
  }
  for (llvm::Function& function : module)
    for (llvm::Instruction& instruction : llvm::instructions(function))
      if (auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
          call && call->getAttributes().hasFnAttr("metalwright.kept")) {
        call->removeFnAttr(llvm::Attribute::NoInline);
        call->removeFnAttr("metalwright.kept");
      }
  inline_calls(module);
}

} // namespace metalwright::msl
