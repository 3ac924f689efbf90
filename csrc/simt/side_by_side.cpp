// Loop fission with the loop over runs unrolled.
#include "simt/side_by_side.h"

#include "simt/flatten.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/DenseSet.h>
#include <llvm/ADT/SetVector.h>
#include <llvm/Analysis/PostDominators.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>
#include <llvm/Transforms/Utils/Cloning.h>
#include <llvm/Transforms/Utils/ValueMapper.h>

#include <optional>

namespace metalwright::simt {

namespace {

// More instructions than this cost more to compile than most kernels run.
constexpr std::size_t kMost = 2500;
const llvm::RemapFlags kRemap = llvm::RF_NoModuleLevelChanges | llvm::RF_IgnoreMissingLocals;

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
    if (!(runs_.may_part ? find_detours() : can_run_together()) || is_too_long())
      return false;
    if (!runs_.may_part && !flatten_all())
      return false;
    for (Detour& detour : detours_)
      give_own_end(detour);
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
    for (const Detour& detour : detours_)
      go_apart(detour);
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
  // Blocks between a branch at which runs part and where its ways meet.
  struct Detour {
    llvm::BasicBlock* begin = nullptr;
    llvm::BasicBlock* end = nullptr;
    llvm::SetVector<llvm::BasicBlock*> blocks = {};
  };

  bool is_too_long() const {
    std::size_t instructions = different_.size();
    for (const Detour& detour : detours_)
      for (const llvm::BasicBlock* block : detour.blocks)
        instructions += block->size();
    return instructions * runs_.count > kMost;
  }

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

  bool flatten_all() {
    for (std::vector<llvm::BasicBlock*> parting; !(parting = parting_blocks()).empty();) {
      if (!llvm::any_of(parting, [&](llvm::BasicBlock* block) { return try_flatten(*block); }))
        return false;
      different_.clear();
      find_different();
    }
    return true;
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

  // Finds a detour for each branch at which runs part; what they bring along differs as well.
  bool find_detours() {
    for (std::vector<llvm::BasicBlock*> parting; !(parting = undetoured_blocks()).empty();) {
      const llvm::PostDominatorTree post_dominators(runs_.function);
      // Of nested ones the outer one. A branch within one needs none of its own.
      std::optional<Detour> detour;
      for (llvm::BasicBlock* block : parting) {
        std::optional<Detour> next = detour_from(*block, post_dominators);
        if (next && (!detour || next->blocks.contains(detour->begin)))
          detour = std::move(next);
      }
      if (!detour)
        return false;
      llvm::erase_if(detours_,
                     [&](const Detour& inner) { return detour->blocks.contains(inner.begin); });
      for (llvm::BasicBlock* block : detour->blocks)
        blocks_.remove(block);
      detours_.push_back(std::move(*detour));
      different_.clear();
      find_different();
    }
    return true;
  }

  std::vector<llvm::BasicBlock*> undetoured_blocks() const {
    std::vector<llvm::BasicBlock*> found = parting_blocks();
    llvm::erase_if(found, [&](llvm::BasicBlock* block) {
      return llvm::any_of(detours_, [&](const Detour& detour) { return detour.begin == block; });
    });
    return found;
  }

  std::optional<Detour> detour_from(llvm::BasicBlock& block,
                                    const llvm::PostDominatorTree& post_dominators) const {
    const llvm::DomTreeNode* node = post_dominators.getNode(&block);
    Detour detour{&block, node && node->getIDom() ? node->getIDom()->getBlock() : nullptr};
    if (!llvm::isa<llvm::BranchInst>(block.getTerminator()) || !detour.end)
      return std::nullopt;
    std::vector<llvm::BasicBlock*> open{&block};
    while (!open.empty()) {
      llvm::BasicBlock* from = open.back();
      open.pop_back();
      for (llvm::BasicBlock* next : llvm::successors(from)) {
        if (next == &block)
          return std::nullopt; // runs go round a loop differently often
        if (next == detour.end || !detour.blocks.insert(next))
          continue;
        open.push_back(next);
      }
    }
    for (llvm::BasicBlock* inner : detour.blocks)
      for (llvm::BasicBlock* from : llvm::predecessors(inner))
        if (from != &block && !detour.blocks.contains(from))
          return std::nullopt; // another way leads into it
    for (llvm::BasicBlock* inner : detour.blocks)
      for (llvm::Instruction& instruction : *inner)
        if (fences_.contains(&instruction) || sources_.contains(&instruction) ||
            llvm::isa<llvm::AllocaInst>(instruction) ||
            llvm::is_contained(runs_.followed, &instruction) ||
            (instruction.isTerminator() && !llvm::isa<llvm::BranchInst>(instruction)))
          return std::nullopt;
    return detour;
  }

  // A block where only the detour's ways meet, which has what they bring along.
  void give_own_end(Detour& detour) {
    std::vector<llvm::BasicBlock*> from;
    for (llvm::BasicBlock* before : llvm::predecessors(detour.end))
      if ((before == detour.begin || detour.blocks.contains(before)) &&
          !llvm::is_contained(from, before))
        from.push_back(before);
    detour.end = llvm::SplitBlockPredecessors(detour.end, from, ".met");
    blocks_.insert(detour.end);
    for (llvm::PHINode& phi : detour.end->phis())
      different_.insert(&phi);
  }

  // One run's way after the other's, each with a copy of the detour and an end of its own.
  void go_apart(const Detour& detour) {
    auto* fork = llvm::cast<llvm::BranchInst>(detour.begin->getTerminator());
    std::vector<llvm::Instruction*> phis;
    for (llvm::PHINode& phi : detour.end->phis())
      if (different_.contains(&phi))
        phis.push_back(&phi);
    // What the first run goes along is copied before it is changed.
    std::vector<llvm::ValueToValueMapTy> maps(runs_.count);
    std::vector<std::vector<llvm::BasicBlock*>> ways(runs_.count);
    std::vector<llvm::BranchInst*> forks(runs_.count, fork);
    ways[0].assign(detour.blocks.begin(), detour.blocks.end());
    for (unsigned k = 1; k < runs_.count; ++k) {
      forks[k] = llvm::cast<llvm::BranchInst>(fork->clone());
      for (llvm::BasicBlock* block : detour.blocks) {
        llvm::BasicBlock* copy = llvm::CloneBasicBlock(block, maps[k], "", &runs_.function);
        maps[k][block] = copy;
        ways[k].push_back(copy);
      }
    }
    llvm::BasicBlock* from = detour.begin;
    for (unsigned k = 0; k < runs_.count; ++k) {
      const bool is_last = k + 1 == runs_.count;
      llvm::BasicBlock* end =
          is_last ? detour.end
                  : llvm::BasicBlock::Create(runs_.function.getContext(), "", &runs_.function);
      if (k != 0) {
        forks[k]->insertInto(from, from->end());
        llvm::RemapInstruction(forks[k], maps[k], kRemap);
        llvm::remapInstructionsInBlocks(ways[k], maps[k]);
      }
      for (llvm::Instruction* original : phis) {
        auto* phi = llvm::cast<llvm::PHINode>(k == 0 ? original : copies_[k].lookup(original));
        if (k != 0)
          llvm::RemapInstruction(phi, maps[k], kRemap);
        phi->replaceIncomingBlockWith(detour.begin, from);
        if (!is_last)
          phi->moveBefore(*end, end->end());
      }
      replace_operands(*forks[k], k);
      forks[k]->replaceSuccessorWith(detour.end, end);
      for (llvm::BasicBlock* block : ways[k]) {
        for (llvm::PHINode& phi : block->phis())
          phi.replaceIncomingBlockWith(detour.begin, from);
        for (llvm::Instruction& instruction : *block)
          replace_operands(instruction, k);
        block->getTerminator()->replaceSuccessorWith(detour.end, end);
      }
      from = end;
    }
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
    for (const Detour& detour : detours_) {
      for (llvm::PHINode& phi : detour.end->phis())
        add(phi);
      // What a run may put there on its own.
      for (llvm::BasicBlock* block : detour.blocks)
        for (llvm::Instruction& instruction : *block)
          if (auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction))
            if (auto* variable = llvm::dyn_cast<llvm::AllocaInst>(
                    llvm::getUnderlyingObject(store->getPointerOperand())))
              add(*variable);
    }
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
  std::vector<Detour> detours_; // apart from each other; their blocks are not among `blocks_`
  std::vector<llvm::DenseMap<llvm::Instruction*, llvm::Instruction*>> copies_;   // by run
  llvm::DenseMap<std::pair<llvm::Instruction*, unsigned>, llvm::Value*> values_; // of sources
};

} // namespace

bool join_side_by_side(const SideBySide& runs) {
  return Joiner(runs).run();
}

} // namespace metalwright::simt
