// Asks LLVM's analysis and corrects it by the schedule, until both agree.
#include "simt/uniformity.h"

#include "simt/convergent_ops.h"

#include <llvm/Analysis/CycleAnalysis.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/PassInstrumentation.h>

namespace metalwright::simt {

Uniformity::Uniformity(llvm::Function& function, const llvm::DominatorTree& dominators,
                       const llvm::LoopInfo& loops, Target target)
    : loops_(loops), target_(target(function.getParent()->getDataLayout(), more_)) {
  analyses_.registerPass([] { return llvm::DominatorTreeAnalysis(); });
  analyses_.registerPass([] { return llvm::CycleAnalysis(); });
  analyses_.registerPass([] { return llvm::PassInstrumentationAnalysis(); });
  analyses_.registerPass([] { return llvm::UniformityInfoAnalysis(); });
  analyses_.registerPass([&] {
    return llvm::TargetIRAnalysis([this, target](const llvm::Function& asked) {
      return target(asked.getParent()->getDataLayout(), more_);
    });
  });
  for (;;) {
    uniformity_ = &analyses_.getResult<llvm::UniformityInfoAnalysis>(function);
    schedule_ = std::make_unique<Schedule>(
        function, dominators, loops,
        [&](const llvm::BranchInst& branch) { return is_varying(branch.getCondition()); });
    if (!find_more())
      return;
    llvm::PreservedAnalyses others = llvm::PreservedAnalyses::all();
    others.abandon<llvm::UniformityInfoAnalysis>();
    analyses_.invalidate(function, others);
  }
}

bool Uniformity::is_varying(const llvm::Value* value) const {
  return llvm::isa<llvm::Instruction>(value) && uniformity_->isDivergent(value);
}

// Phis to which threads bring different values at once, and calls in which each reads another
// lane's.
bool Uniformity::find_more() {
  bool found = false;
  for (const llvm::BasicBlock* block : schedule_->blocks()) {
    for (const llvm::Instruction& instruction : *block) {
      const auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
      const llvm::Value* lane = call ? lane_that_is_read(*call) : nullptr;
      if (lane && is_varying(lane) && target_.isAlwaysUniform(call))
        found |= more_.insert(call).second;
    }
    if (!schedule_->has_joins(block))
      continue;
    for (const llvm::PHINode& phi : block->phis())
      if (!is_varying(&phi) && !is_same(phi) && !target_.isAlwaysUniform(&phi))
        found |= more_.insert(&phi).second;
  }
  return found;
}

// All ways bring one uniform value, of one round of the loops that it is in. What is undefined may
// be taken for that as well.
bool Uniformity::is_same(const llvm::PHINode& phi) const {
  const llvm::Value* common = nullptr;
  for (const llvm::Value* incoming : phi.incoming_values()) {
    if (incoming == &phi || llvm::isa<llvm::UndefValue>(incoming))
      continue;
    if (common && common != incoming)
      return false;
    common = incoming;
  }
  const auto* instruction = llvm::dyn_cast_or_null<llvm::Instruction>(common);
  const llvm::Loop* loop = instruction ? loops_.getLoopFor(instruction->getParent()) : nullptr;
  return !loop || loop->contains(phi.getParent());
}

} // namespace metalwright::simt
