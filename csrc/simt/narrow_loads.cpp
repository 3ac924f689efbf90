// Finds constant masks.
#include "simt/narrow_loads.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Support/MathExtras.h>

#include <numeric>
#include <vector>

namespace metalwright::simt {

// How many lanes from the first on the mask has, if it has no others; else 0.
static unsigned first_lanes(const llvm::Value* mask) {
  const auto* constant = llvm::dyn_cast<llvm::Constant>(mask);
  const unsigned width =
      llvm::cast<llvm::FixedVectorType>(mask->getType())->getElementCount().getFixedValue();
  unsigned count = 0;
  for (unsigned i = 0; constant && i < width; ++i) {
    const llvm::Constant* lane = constant->getAggregateElement(i);
    if (!lane || !(lane->isNullValue() || lane->isOneValue()) || (lane->isOneValue() && i != count))
      return 0;
    count += lane->isOneValue();
  }
  return count;
}

static llvm::Value* narrowed(llvm::IntrinsicInst& load, unsigned count) {
  llvm::IRBuilder<> builder(&load);
  const auto* type = llvm::cast<llvm::FixedVectorType>(load.getType());
  llvm::LoadInst* part = builder.CreateAlignedLoad(
      llvm::FixedVectorType::get(type->getElementType(), count), load.getArgOperand(0),
      llvm::cast<llvm::ConstantInt>(load.getArgOperand(1))->getMaybeAlignValue());
  part->copyMetadata(load);
  const unsigned width = type->getNumElements();
  std::vector<int> lanes(width, llvm::PoisonMaskElem);
  std::iota(lanes.begin(), lanes.begin() + count, 0);
  llvm::Value* whole = builder.CreateShuffleVector(part, lanes);
  std::iota(lanes.begin() + count, lanes.end(), width + count);
  llvm::Value* rest = load.getArgOperand(3);
  if (!llvm::isa<llvm::UndefValue>(rest))
    return builder.CreateShuffleVector(whole, rest, lanes);
  // Zeros, which must not become undefined where nobody needs them: for the maximum of a vector of
  // which half is undefined the code generator calls fmaxf, lane by lane.
  rest = llvm::Constant::getNullValue(load.getType());
  return builder.CreateFreeze(builder.CreateShuffleVector(whole, rest, lanes));
}

llvm::PreservedAnalyses NarrowLoads::run(llvm::Function& function, llvm::FunctionAnalysisManager&) {
  bool has_changed = false;
  for (llvm::Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    auto* load = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
    if (!load || load->getIntrinsicID() != llvm::Intrinsic::masked_load)
      continue;
    const unsigned count = first_lanes(load->getArgOperand(2));
    if (!llvm::isPowerOf2_32(count))
      continue;
    load->replaceAllUsesWith(narrowed(*load, count));
    load->eraseFromParent();
    has_changed = true;
  }
  return has_changed ? llvm::PreservedAnalyses::none() : llvm::PreservedAnalyses::all();
}

} // namespace metalwright::simt
