// Guards divisors.
#include "simt/arithmetic.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/PatternMatch.h>

namespace metalwright::simt {

void define_division(llvm::Function& function) {
  namespace pattern = llvm::PatternMatch;
  for (llvm::Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    const unsigned opcode = instruction.getOpcode();
    const bool is_signed = opcode == llvm::Instruction::SDiv || opcode == llvm::Instruction::SRem;
    if (!is_signed && opcode != llvm::Instruction::UDiv && opcode != llvm::Instruction::URem)
      continue;
    llvm::Value* divisor = instruction.getOperand(1);
    const llvm::APInt* constant = nullptr;
    if (pattern::match(divisor, pattern::m_APInt(constant)) && !constant->isZero() &&
        !(is_signed && constant->isAllOnes()))
      continue;
    llvm::IRBuilder<> builder(&instruction);
    llvm::Value* frozen = builder.CreateFreeze(divisor);
    llvm::Value* trapping = builder.CreateIsNull(frozen);
    if (is_signed) {
      llvm::Value* dividend = builder.CreateFreeze(instruction.getOperand(0));
      instruction.setOperand(0, dividend);
      llvm::Type* type = dividend->getType();
      llvm::Value* smallest =
          llvm::ConstantInt::get(type, llvm::APInt::getSignedMinValue(type->getScalarSizeInBits()));
      llvm::Value* overflows =
          builder.CreateAnd(builder.CreateICmpEQ(dividend, smallest),
                            builder.CreateICmpEQ(frozen, llvm::Constant::getAllOnesValue(type)));
      trapping = builder.CreateOr(trapping, overflows);
    }
    instruction.setOperand(
        1, builder.CreateSelect(trapping, llvm::ConstantInt::get(divisor->getType(), 1), frozen));
  }
}

} // namespace metalwright::simt
