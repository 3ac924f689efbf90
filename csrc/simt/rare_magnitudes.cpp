// Moves chains of selects into a block of their own.
#include "simt/rare_magnitudes.h"

#include <llvm/ADT/MapVector.h>
#include <llvm/ADT/SetVector.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/PatternMatch.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>

namespace metalwright::simt {

namespace {

using namespace llvm::PatternMatch;

constexpr double kRare = 0x1p40;

// Comparisons of one vector's magnitudes in one block, that with the least bound first.
struct Choice {
  llvm::FCmpInst* least = nullptr;
  llvm::APFloat bound = llvm::APFloat(0.0f);
  llvm::SetVector<llvm::Instruction*> others;
  llvm::SetVector<llvm::SelectInst*> selects;
};

using Choices = llvm::MapVector<llvm::Value*, Choice>; // by the vector

Choices choices_in(llvm::BasicBlock& block) {
  Choices choices;
  for (llvm::Instruction& instruction : block) {
    auto* compare = llvm::dyn_cast<llvm::FCmpInst>(&instruction);
    llvm::FCmpInst::Predicate predicate;
    const llvm::APFloat* bound = nullptr;
    llvm::Value* magnitude = nullptr;
    if (!compare || !compare->getType()->isVectorTy() ||
        !match(compare, m_FCmp(predicate, m_Value(magnitude), m_APFloat(bound))) ||
        predicate != llvm::FCmpInst::FCMP_OGE || !match(magnitude, m_FAbs(m_Value())) ||
        !magnitude->getType()->getScalarType()->isFloatTy() || bound->convertToFloat() < kRare)
      continue;
    Choice& choice = choices[magnitude];
    if (!choice.least || *bound < choice.bound) {
      if (choice.least)
        choice.others.insert(choice.least);
      choice.least = compare;
      choice.bound = *bound;
    } else {
      choice.others.insert(compare);
    }
  }
  return choices;
}

// Those behind the comparison that choose between constants, and what else was chosen.
void find_selects(Choice& choice) {
  for (llvm::Instruction* next = choice.least->getNextNode(); next; next = next->getNextNode()) {
    auto* select = llvm::dyn_cast<llvm::SelectInst>(next);
    if (!select || !llvm::isa<llvm::Constant>(select->getTrueValue()))
      continue;
    auto* condition = llvm::dyn_cast<llvm::Instruction>(select->getCondition());
    auto* rest = llvm::dyn_cast<llvm::SelectInst>(select->getFalseValue());
    if ((condition == choice.least || choice.others.contains(condition)) &&
        (llvm::isa<llvm::Constant>(select->getFalseValue()) ||
         (rest && choice.selects.contains(rest))))
      choice.selects.insert(select);
  }
}

bool is_only_used_by(const llvm::Instruction& value, const Choice& choice) {
  return llvm::all_of(value.users(), [&](const llvm::User* user) {
    auto* instruction = llvm::cast<llvm::Instruction>(const_cast<llvm::User*>(user));
    return choice.others.contains(instruction) ||
           choice.selects.contains(llvm::dyn_cast<llvm::SelectInst>(instruction));
  });
}

void move_behind_branch(Choice& choice) {
  llvm::IRBuilder<> builder(choice.least->getContext());
  builder.SetInsertPoint(choice.least->getNextNode());
  llvm::Value* any = builder.CreateOrReduce(choice.least);
  llvm::BasicBlock* before = choice.least->getParent();
  llvm::Instruction* rare = llvm::SplitBlockAndInsertIfThen(
      any, llvm::cast<llvm::Instruction>(any)->getNextNode(), false,
      llvm::MDBuilder(builder.getContext()).createBranchWeights(1, 2000));
  llvm::BasicBlock* after = rare->getSuccessor(0);
  for (llvm::Instruction* compare : choice.others)
    if (is_only_used_by(*compare, choice))
      compare->moveBefore(rare);
    else if (compare->getParent() == after)
      compare->moveBefore(before->getTerminator());
  for (llvm::SelectInst* select : choice.selects)
    select->moveBefore(rare);
  builder.SetInsertPoint(after, after->begin());
  for (llvm::SelectInst* select : choice.selects) {
    if (is_only_used_by(*select, choice))
      continue;
    llvm::Value* usual = select;
    while (auto* inner = llvm::dyn_cast<llvm::SelectInst>(usual))
      usual = inner->getFalseValue();
    llvm::PHINode* chosen = builder.CreatePHI(select->getType(), 2);
    select->replaceUsesWithIf(chosen, [&](llvm::Use& use) {
      return !choice.selects.contains(llvm::dyn_cast<llvm::SelectInst>(use.getUser()));
    });
    chosen->addIncoming(usual, before);
    chosen->addIncoming(select, rare->getParent());
  }
}

} // namespace

void branch_at_rare_magnitudes(llvm::Function& function) {
  // Blocks are split, and what is left of one is looked at again.
  for (auto block = function.begin(); block != function.end(); ++block)
    for (auto& [magnitude, choice] : choices_in(*block)) {
      find_selects(choice);
      if (choice.selects.size() < 4)
        continue;
      move_behind_branch(choice);
      break;
    }
}

} // namespace metalwright::simt
