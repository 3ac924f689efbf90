// Loop fission with the loop over runs unrolled.
#include "simt/side_by_side.h"

#include "simt/flatten.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/DenseSet.h>
#include <llvm/ADT/SetVector.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IntrinsicInst.h>

namespace metalwright::simt {

namespace {

// More instructions than this cost more to compile than most kernels run.
constexpr std::size_t kMost = 2500;

class Joiner {
 public:
  explicit Joiner(const SideBySide& runs)
      : runs_(runs), sources_(runs.sources.begin(), runs.sources.end()),
        fences_(runs.fences.begin(), runs.fences.end()), same_(runs.same.begin(), runs.same.end()),
        blocks_(runs.blocks.begin(), runs.blocks.end()) {
    if (blocks_.empty())
      for (llvm::BasicBlock& block : runs.function)
        blocks_.insert(&block);
  }

  bool run() {
    find_different();
    if (different_.size() * runs_.count > kMost)
      return false;
    if (!can_run_together())
      return false;
    for (std::vector<llvm::BasicBlock*> parting; !(parting = parting_blocks()).empty();) {
      if (!llvm::any_of(parting, [&](llvm::BasicBlock* block) { return try_flatten(*block); }))
        return false;
      different_.clear();
      find_different();
    }
    copies_.resize(runs_.count);
    for (llvm::BasicBlock* block : blocks_)
      copy_block(*block);
    for (llvm::Instruction* source : sources_)
      for (unsigned k = 0; k < runs_.count; ++k)
        values_[{source, k}] = runs_.value(*source, k);
    for (llvm::Instruction* original : different_)
      replace_operands(*original, 0);
    for (unsigned k = 1; k < runs_.count; ++k)
      for (const auto& [original, copy] : copies_[k])
        replace_operands(*copy, k);
    for (llvm::Instruction* original : runs_.followed)
      if (different_.contains(original)) {
        std::vector<llvm::Instruction*> all{original};
        for (unsigned k = 1; k < runs_.count; ++k)
          all.push_back(copies_[k].lookup(original));
        runs_.made(all);
      }
    return true;
  }

 private:
  bool is_inside(const llvm::Instruction& instruction) const {
    return blocks_.contains(const_cast<llvm::BasicBlock*>(instruction.getParent()));
  }

  bool is_different(llvm::Value* value) const {
    auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
    return instruction && (different_.contains(instruction) || sources_.contains(instruction));
  }

  // Whether all branches at which runs may part can be flattened, so that none is for nothing.
  bool can_run_together() const {
    llvm::DenseSet<llvm::BasicBlock*> flat;
    const std::vector<llvm::BasicBlock*> parting = parting_blocks();
    if (!runs_.may_flatten)
      return parting.empty();
    for (llvm::BasicBlock* block : parting)
      if (const auto inner = blocks_to_flatten(*block)) {
        flat.insert(block);
        flat.insert(inner->begin(), inner->end());
      }
    return llvm::all_of(parting, [&](llvm::BasicBlock* block) { return flat.contains(block); });
  }

  bool try_flatten(llvm::BasicBlock& block) {
    const auto gone = blocks_to_flatten(block);
    if (!gone)
      return false;
    for (llvm::BasicBlock* inner : *gone)
      blocks_.remove(inner);
    flatten(block);
    return true;
  }

  // Where runs may take different ways.
  std::vector<llvm::BasicBlock*> parting_blocks() const {
    std::vector<llvm::BasicBlock*> found;
    for (llvm::BasicBlock* block : blocks_)
      if (llvm::any_of(block->getTerminator()->operands(),
                       [&](llvm::Value* operand) { return is_different(operand); }))
        found.push_back(block);
    return found;
  }

  // What has an effect, memory of each run's own, and all that follows from these or from a source.
  void find_different() {
    std::vector<llvm::Instruction*> open(sources_.begin(), sources_.end());
    auto add = [&](llvm::Instruction& instruction) {
      if (instruction.isTerminator() || fences_.contains(&instruction) ||
          same_.contains(&instruction) || !is_inside(instruction) ||
          !different_.insert(&instruction))
        return;
      open.push_back(&instruction);
      // What one run puts there the others do not find there.
      if (auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction))
        if (auto* variable = llvm::dyn_cast<llvm::AllocaInst>(
                llvm::getUnderlyingObject(store->getPointerOperand())))
          if (is_inside(*variable) && different_.insert(variable))
            open.push_back(variable);
    };
    for (llvm::BasicBlock* block : blocks_)
      for (llvm::Instruction& instruction : *block) {
        if (is_of_common_memory(instruction))
          continue;
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

  // A variable that is only loaded from and stored to, or such a store: all runs can have it in
  // common as long as they store the same.
  bool is_of_common_memory(llvm::Instruction& instruction) const {
    if (auto* variable = llvm::dyn_cast<llvm::AllocaInst>(&instruction))
      return is_only_loaded_and_stored(*variable);
    const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction);
    if (!store || !store->isSimple())
      return false;
    auto* variable = const_cast<llvm::AllocaInst*>(
        llvm::dyn_cast<llvm::AllocaInst>(llvm::getUnderlyingObject(store->getPointerOperand())));
    return variable && is_inside(*variable) && is_only_loaded_and_stored(*variable);
  }

  static bool is_only_loaded_and_stored(llvm::Instruction& pointer) {
    return llvm::all_of(pointer.users(), [&](llvm::User* user) {
      if (const auto* load = llvm::dyn_cast<llvm::LoadInst>(user))
        return load->isSimple();
      if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(user))
        return store->isSimple() && store->getValueOperand() != &pointer;
      auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(user);
      return address && is_only_loaded_and_stored(*address);
    });
  }

  // Copies stand behind their originals: a phi's at once, the others' before the next fence or the
  // end of the block, the second run's first.
  void copy_block(llvm::BasicBlock& block) {
    std::vector<llvm::Instruction*> part;
    std::vector<llvm::Instruction*> all;
    for (llvm::Instruction& instruction : block)
      all.push_back(&instruction);
    for (llvm::Instruction* instruction : all) {
      if (instruction->isTerminator() || fences_.contains(instruction)) {
        for (unsigned k = 1; k < runs_.count; ++k)
          for (llvm::Instruction* original : part)
            copy(*original, k)->insertBefore(instruction->getIterator());
        part.clear();
      } else if (!different_.contains(instruction)) {
        continue;
      } else if (llvm::isa<llvm::PHINode>(instruction)) {
        for (unsigned k = 1; k < runs_.count; ++k)
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

  void replace_operands(llvm::Instruction& user, unsigned k) {
    for (llvm::Use& operand : user.operands()) {
      auto* instruction = llvm::dyn_cast<llvm::Instruction>(operand.get());
      if (!instruction)
        continue;
      if (const auto found = values_.find({instruction, k}); found != values_.end())
        operand.set(found->second);
      else if (const auto copied = copies_[k].find(instruction); copied != copies_[k].end())
        operand.set(copied->second);
    }
  }

  const SideBySide& runs_;
  llvm::SetVector<llvm::Instruction*> sources_;
  llvm::DenseSet<llvm::Instruction*> fences_;
  llvm::DenseSet<llvm::Instruction*> same_;
  llvm::SetVector<llvm::BasicBlock*> blocks_;
  llvm::SetVector<llvm::Instruction*> different_;
  std::vector<llvm::DenseMap<llvm::Instruction*, llvm::Instruction*>> copies_;   // by run
  llvm::DenseMap<std::pair<llvm::Instruction*, unsigned>, llvm::Value*> values_; // of sources
};

} // namespace

bool join_side_by_side(const SideBySide& runs) {
  return Joiner(runs).run();
}

} // namespace metalwright::simt
