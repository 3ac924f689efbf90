// What LLVM's uniformity analysis needs, and nothing else.
#pragma once

#include <llvm/Analysis/CycleAnalysis.h>
#include <llvm/Analysis/TargetTransformInfo.h>
#include <llvm/Analysis/UniformityAnalysis.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/PassInstrumentation.h>
#include <llvm/IR/PassManager.h>

namespace metalwright::simt {

// `Target`, made of a data layout, says which values differ between the threads that are compared.
template <typename Target> void register_uniformity(llvm::FunctionAnalysisManager& analyses) {
  analyses.registerPass([] { return llvm::DominatorTreeAnalysis(); });
  analyses.registerPass([] { return llvm::CycleAnalysis(); });
  analyses.registerPass([] { return llvm::PassInstrumentationAnalysis(); });
  analyses.registerPass([] { return llvm::UniformityInfoAnalysis(); });
  analyses.registerPass([] {
    return llvm::TargetIRAnalysis([](const llvm::Function& asked) {
      return llvm::TargetTransformInfo(Target(asked.getParent()->getDataLayout()));
    });
  });
}

} // namespace metalwright::simt
