// Masks shift amounts.
#include "simt/shifts.h"

#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/KnownBits.h>
#include <llvm/Support/MathExtras.h>

namespace metalwright::simt {

void define_shifts(llvm::Function& function) {
  const llvm::DataLayout& layout = function.getParent()->getDataLayout();
  for (llvm::Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    if (!instruction.isShift()) {
      continue;
    }
    llvm::Value* amount = instruction.getOperand(1);
    const unsigned width = amount->getType()->getScalarSizeInBits();
    // Other widths come from bit-field code of compilers, never from a shift in MSL.
    if (!llvm::isPowerOf2_32(width) ||
        llvm::computeKnownBits(amount, layout).getMaxValue().ult(width)) {
      continue;
    }
    llvm::IRBuilder<> builder(&instruction);
    instruction.setOperand(
        1, builder.CreateAnd(amount, llvm::ConstantInt::get(amount->getType(), width - 1)));
    // "No bits are lost" was promised for the amount as it stood in the source.
    instruction.dropPoisonGeneratingFlags();
  }
}

} // namespace metalwright::simt
