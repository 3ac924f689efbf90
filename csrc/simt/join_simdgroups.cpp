// All simdgroups of a threadgroup in one vector program.
#include "simt/join_simdgroups.h"

#include "simt/launch.h"
#include "simt/vector_builder.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/SetVector.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>

#include <vector>

namespace metalwright::simt {

namespace {

// More instructions than this cost more to compile than most kernels run.
constexpr std::size_t kMost = 2500;

class JoinedSimdgroups {
 public:
  JoinedSimdgroups(llvm::Function& function, unsigned count)
      : function_(function), state_(function.getArg(2)), count_(count) {}

  bool run() {
    if (!reads_of_state_are_known() || barriers_.empty())
      return false;
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
  // Of the simdgroup's state the program reads its index and the shared memory's address.
  bool reads_of_state_are_known() {
    const llvm::DataLayout& layout = function_.getParent()->getDataLayout();
    for (llvm::User* user : state_->users()) {
      auto* instruction = llvm::cast<llvm::Instruction>(user);
      if (is_barrier(*instruction)) {
        if (!all_lanes_reach(llvm::cast<llvm::CallInst>(*instruction)))
          return false;
        barriers_.insert(instruction);
      } else if (is_index(*instruction)) {
        indices_.insert(instruction);
      } else if (auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(instruction)) {
        llvm::APInt offset(64, 0);
        if (!address->accumulateConstantOffset(layout, offset) ||
            offset != offsetof(SimdgroupState, shared))
          return false;
        for (const llvm::User* load : address->users())
          if (!llvm::isa<llvm::LoadInst>(load))
            return false;
      } else {
        return false;
      }
    }
    return true;
  }

  static bool is_index(const llvm::Instruction& instruction) {
    static_assert(offsetof(SimdgroupState, index) == 0);
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
    return load && load->isSimple() && load->getType()->isIntegerTy(32);
  }

  static bool is_barrier(const llvm::Instruction& instruction) {
    const auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
    const llvm::Function* callee = call ? call->getCalledFunction() : nullptr;
    return callee && callee->getName() == kSimdgroupBarrierFunction;
  }

  static bool all_lanes_reach(const llvm::CallInst& barrier) {
    return barrier.getArgOperand(2) == barrier.getArgOperand(3);
  }

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
  llvm::Argument* state_;
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
