// Shrinks <64 x T> values in place.
#include "simt/matrices.h"

#include <llvm/IR/Constants.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>

#include <vector>

namespace metalwright::simt {

namespace {

bool is_matrix(const llvm::Type* type) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  return vector && vector->getNumElements() == 64;
}

llvm::Type* narrow(llvm::Type* type) {
  return is_matrix(type) ? llvm::FixedVectorType::get(type->getScalarType(), 2) : type;
}

llvm::Constant* narrow(llvm::Constant* constant) {
  return llvm::ConstantVector::get(
      {constant->getAggregateElement(0u), constant->getAggregateElement(1u)});
}

bool beyond(const llvm::Value* index) {
  const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(index);
  return constant && constant->getValue().uge(2);
}

// The mask of a shuffle between types of which some shrink: lane 0 or 1 of an operand stays what it
// is.
llvm::SmallVector<int, 16> narrow_mask(const llvm::ShuffleVectorInst& shuffle, bool wide_operands,
                                       bool wide_result) {
  llvm::SmallVector<int, 16> mask;
  llvm::ArrayRef<int> old = shuffle.getShuffleMask();
  if (wide_result)
    old = old.take_front(2);
  for (int index : old) {
    if (wide_operands && index >= 0) {
      const int lane = index % 64;
      index = lane < 2 ? (index / 64) * 2 + lane : llvm::PoisonMaskElem;
    }
    mask.push_back(index);
  }
  return mask;
}

} // namespace

void narrow_matrices(llvm::Function& function) {
  std::vector<llvm::Instruction*> affected;
  for (llvm::Instruction& instruction : llvm::instructions(function)) {
    bool touches = is_matrix(instruction.getType());
    for (const llvm::Use& operand : instruction.operands())
      touches |= is_matrix(operand->getType());
    if (touches)
      affected.push_back(&instruction);
  }
  // Shuffles read the old types, so they are rebuilt while those are still there: the new one is
  // given its operands after every type has changed.
  struct Rebuilt {
    llvm::ShuffleVectorInst* old;
    llvm::SmallVector<int, 16> mask;
    bool wide_result;
  };
  std::vector<Rebuilt> shuffles;
  for (llvm::Instruction* instruction : affected)
    if (auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(instruction)) {
      const bool wide_result = is_matrix(shuffle->getType());
      shuffles.push_back(
          {shuffle,
           narrow_mask(*shuffle, is_matrix(shuffle->getOperand(0)->getType()), wide_result),
           wide_result});
    }
  for (llvm::Instruction* instruction : affected) {
    for (llvm::Use& operand : instruction->operands())
      if (auto* constant = llvm::dyn_cast<llvm::Constant>(operand.get()))
        if (is_matrix(constant->getType()))
          operand.set(narrow(constant));
    instruction->mutateType(narrow(instruction->getType()));
  }
  for (const Rebuilt& rebuilt : shuffles) {
    auto* fresh =
        new llvm::ShuffleVectorInst(rebuilt.old->getOperand(0), rebuilt.old->getOperand(1),
                                    rebuilt.mask, "", rebuilt.old->getIterator());
    rebuilt.old->replaceAllUsesWith(fresh);
    rebuilt.old->eraseFromParent();
  }
  for (llvm::Instruction* instruction : affected) {
    if (llvm::is_contained(llvm::map_range(shuffles, [](const Rebuilt& r) { return r.old; }),
                           instruction))
      continue;
    if (auto* insert = llvm::dyn_cast<llvm::InsertElementInst>(instruction);
        insert && beyond(insert->getOperand(2))) {
      insert->replaceAllUsesWith(insert->getOperand(0));
      insert->eraseFromParent();
    } else if (auto* extract = llvm::dyn_cast<llvm::ExtractElementInst>(instruction);
               extract && beyond(extract->getIndexOperand())) {
      extract->replaceAllUsesWith(llvm::PoisonValue::get(extract->getType()));
      extract->eraseFromParent();
    }
  }
}

} // namespace metalwright::simt
