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
// well, until nothing changes.
class Uniformity {
 public:
  using Phis = llvm::DenseSet<const llvm::Value*>;
  using Target = llvm::TargetTransformInfo (*)(const llvm::DataLayout&, const Phis& meetings);

  // Requires: what Schedule does; loops in LCSSA form.
  Uniformity(llvm::Function& function, const llvm::DominatorTree& dominators,
             const llvm::LoopInfo& loops, Target target);
  Uniformity(const Uniformity&) = delete;
  Uniformity& operator=(const Uniformity&) = delete;

  // False: one value for all threads that run.
  bool is_varying(const llvm::Value* value) const;
  const Schedule& schedule() const { return *schedule_; }

 private:
  bool find_meetings();
  bool is_same(const llvm::PHINode& phi) const;

  const llvm::LoopInfo& loops_;
  Phis meetings_; // phis that LLVM's analysis would take for uniform
  llvm::TargetTransformInfo target_;
  llvm::FunctionAnalysisManager analyses_; // owns what `uniformity_` refers to
  const llvm::UniformityInfo* uniformity_ = nullptr;
  std::unique_ptr<Schedule> schedule_;
};

// Adds the phis to what `Base`, made of a data layout, says.
template <typename Base> class UniformityTarget : public Base {
 public:
  UniformityTarget(const llvm::DataLayout& layout, const Uniformity::Phis& meetings)
      : Base(layout), meetings_(&meetings) {}

  static llvm::TargetTransformInfo make(const llvm::DataLayout& layout,
                                        const Uniformity::Phis& meetings) {
    return llvm::TargetTransformInfo(UniformityTarget(layout, meetings));
  }

  bool isSourceOfDivergence(const llvm::Value* value) const {
    return meetings_->contains(value) || Base::isSourceOfDivergence(value);
  }

 private:
  const Uniformity::Phis* meetings_;
};

} // namespace metalwright::simt
