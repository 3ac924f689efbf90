// All simdgroups of a threadgroup in one vector program.
#include "simt/join_simdgroups.h"

#include "simt/launch.h"
#include "simt/simdgroup_state.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/SetVector.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>

#include <optional>
#include <vector>

namespace metalwright::simt {

namespace {

// More instructions than this cost more to compile than most kernels run.
constexpr std::size_t kMost = 2500;

class JoinedSimdgroups {
 public:
  JoinedSimdgroups(llvm::Function& function, unsigned count) : function_(function), count_(count) {}

  bool run() {
    const std::optional<StateUses> uses = uses_of_state(function_);
    if (!uses || uses->barriers.empty() || !uses->lanes.empty())
      return false;
    barriers_.insert(uses->barriers.begin(), uses->barriers.end());
    indices_.insert(uses->indices.begin(), uses->indices.end());
    find_different();
    if (different_.size() * count_ > kMost)
      return false;
    for (const llvm::BasicBlock& block : function_)
      for (const llvm::Use& operand : block.getTerminator()->operands())
        if (is_different(operand))
          return false;
    copies_.resize(count_);
    for (llvm::BasicBlock& block : function_)
      copy_block(block);
    for (unsigned k = 1; k < count_; ++k)
      for (const auto& [original, copy] : copies_[k])
        for (llvm::Use& operand : copy->operands())
          replace(operand, k);
    for (llvm::Instruction* barrier : barriers_)
      barrier->eraseFromParent();
    for (llvm::Instruction* index : indices_) {
      index->replaceAllUsesWith(llvm::ConstantInt::get(index->getType(), 0));
      index->eraseFromParent();
    }
    return true;
  }

 private:
  bool is_different(const llvm::Value* value) const {
    const auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
    return instruction && (different_.contains(instruction) ||
                           indices_.contains(const_cast<llvm::Instruction*>(instruction)));
  }

  // What has an effect, memory of each simdgroup's own, and all that follows from these or from the
  // index.
  void find_different() {
    std::vector<llvm::Instruction*> open(indices_.begin(), indices_.end());
    auto add = [&](llvm::Instruction& instruction) {
      if (!instruction.isTerminator() && !barriers_.contains(&instruction) &&
          different_.insert(&instruction).second)
        open.push_back(&instruction);
    };
    for (llvm::BasicBlock& block : function_)
      for (llvm::Instruction& instruction : block) {
        const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
        if (llvm::isa<llvm::AllocaInst>(instruction) || instruction.mayHaveSideEffects() ||
            (load && !load->isSimple()) ||
            (llvm::isa<llvm::CallBase>(instruction) &&
             !llvm::isa<llvm::IntrinsicInst>(instruction)))
          add(instruction);
      }
    while (!open.empty()) {
      llvm::Instruction* next = open.back();
      open.pop_back();
      for (llvm::User* user : next->users())
        add(*llvm::cast<llvm::Instruction>(user));
    }
  }

  // Copies stand behind their originals: a phi's at once, the others' before the next barrier or
  // the end of the block, the second simdgroup's first.
  void copy_block(llvm::BasicBlock& block) {
    std::vector<llvm::Instruction*> part;
    std::vector<llvm::Instruction*> all;
    for (llvm::Instruction& instruction : block)
      all.push_back(&instruction);
    for (llvm::Instruction* instruction : all) {
      if (instruction->isTerminator() || barriers_.contains(instruction)) {
        for (unsigned k = 1; k < count_; ++k)
          for (llvm::Instruction* original : part)
            copy(*original, k)->insertBefore(instruction->getIterator());
        part.clear();
      } else if (!different_.contains(instruction)) {
        continue;
      } else if (llvm::isa<llvm::PHINode>(instruction)) {
        for (unsigned k = 1; k < count_; ++k)
          copy(*instruction, k)->insertBefore(instruction->getIterator());
      } else {
        part.push_back(instruction);
      }
    }
  }

  llvm::Instruction* copy(llvm::Instruction& original, unsigned k) {
    llvm::Instruction* made = original.clone();
    copies_[k][&original] = made;
    return made;
  }

  void replace(llvm::Use& operand, unsigned k) {
    auto* instruction = llvm::dyn_cast<llvm::Instruction>(operand.get());
    if (!instruction)
      return;
    if (indices_.contains(instruction))
      operand.set(llvm::ConstantInt::get(instruction->getType(), k));
    else if (const auto found = copies_[k].find(instruction); found != copies_[k].end())
      operand.set(found->second);
  }

  llvm::Function& function_;
  unsigned count_;
  llvm::SetVector<llvm::Instruction*> barriers_;
  llvm::SetVector<llvm::Instruction*> indices_; // loads of the simdgroup's index
  llvm::DenseSet<const llvm::Instruction*> different_;
  std::vector<llvm::DenseMap<llvm::Instruction*, llvm::Instruction*>> copies_; // by simdgroup
};

} // namespace

bool join_simdgroups(llvm::Function& function, const Shape& shape) {
  if (!shape.is_full() || shape.count() == kSimdgroupSize)
    return false;
  return JoinedSimdgroups(function, shape.count() / kSimdgroupSize).run();
}

} // namespace metalwright::simt
