// Which values differ between threads that run side by side, and in which order these run blocks.
#pragma once

#include "simt/schedule.h"

#include <llvm/ADT/DenseSet.h>
#include <llvm/Analysis/TargetTransformInfo.h>
#include <llvm/Analysis/UniformityAnalysis.h>
#include <llvm/IR/PassManager.h>

#include <memory>

namespace metalwright::simt {

// LLVM's uniformity analysis, which starts from the values that a target names, and the schedule
// that follows from it. LLVM's search for the phis at which threads meet again stops too early:
// with two blocks or more on either way it can take such a phi for uniform (llvm-project issue
// 137277). The schedule knows where threads meet, so phis there are sources of the analysis as
// well, until nothing changes; so are movements between lanes that a target takes for uniform,
// where the number of the lane differs.
class Uniformity {
 public:
  using Values = llvm::DenseSet<const llvm::Value*>;
  using Target = llvm::TargetTransformInfo (*)(const llvm::DataLayout&, const Values& more);

  // Requires: what Schedule does; loops in LCSSA form.
  Uniformity(llvm::Function& function, const llvm::DominatorTree& dominators,
             const llvm::LoopInfo& loops, Target target);
  Uniformity(const Uniformity&) = delete;
  Uniformity& operator=(const Uniformity&) = delete;

  // False: one value for all threads that run.
  bool is_varying(const llvm::Value* value) const;
  const Schedule& schedule() const { return *schedule_; }

 private:
  bool find_more();
  bool is_same(const llvm::PHINode& phi) const;

  const llvm::LoopInfo& loops_;
  Values more_; // sources that LLVM's analysis would take for uniform
  llvm::TargetTransformInfo target_;
  llvm::FunctionAnalysisManager analyses_; // owns what `uniformity_` refers to
  const llvm::UniformityInfo* uniformity_ = nullptr;
  std::unique_ptr<Schedule> schedule_;
};

// Adds more sources to what `Base`, made of a data layout, says.
template <typename Base> class UniformityTarget : public Base {
 public:
  UniformityTarget(const llvm::DataLayout& layout, const Uniformity::Values& more)
      : Base(layout), more_(&more) {}

  static llvm::TargetTransformInfo make(const llvm::DataLayout& layout,
                                        const Uniformity::Values& more) {
    return llvm::TargetTransformInfo(UniformityTarget(layout, more));
  }

  bool isAlwaysUniform(const llvm::Value* value) const {
    return !more_->contains(value) && Base::isAlwaysUniform(value);
  }

  bool isSourceOfDivergence(const llvm::Value* value) const {
    return more_->contains(value) || Base::isSourceOfDivergence(value);
  }

 private:
  const Uniformity::Values* more_;
};

} // namespace metalwright::simt
