// Rewrites bfloat values to integers and bfloat operations to float operations.
#include "simt/bfloat.h"

#include "simt/lowering.h"

#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/Analysis/ConstantFolding.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>

#include <vector>

namespace metalwright::simt {

namespace {

bool is_bfloat(const llvm::Type* type) {
  return type->getScalarType()->isBFloatTy();
}

llvm::Type* with_element(llvm::Type* type, llvm::Type* element) {
  if (auto* vector = llvm::dyn_cast<llvm::VectorType>(type))
    return llvm::VectorType::get(element, vector->getElementCount());
  return element;
}

llvm::Type* bits_type(llvm::Type* type) {
  return with_element(type, llvm::Type::getInt16Ty(type->getContext()));
}
llvm::Type* float_type(llvm::Type* type) {
  return with_element(type, llvm::Type::getFloatTy(type->getContext()));
}
llvm::Type* word_type(llvm::Type* type) {
  return with_element(type, llvm::Type::getInt32Ty(type->getContext()));
}

class BFloatLowering {
 public:
  explicit BFloatLowering(llvm::Function& function)
      : function_(function), builder_(function.getContext()) {}

  void run() {
    std::vector<llvm::Instruction*> affected;
    for (llvm::Instruction& instruction : llvm::instructions(function_)) {
      bool touches = is_bfloat(instruction.getType());
      for (const llvm::Use& operand : instruction.operands())
        touches |= is_bfloat(operand->getType());
      if (touches)
        affected.push_back(&instruction);
    }
    if (affected.empty())
      return;
    // 1. Arithmetic becomes float arithmetic between a decode of each operand and an encode of the
    //    result, all still typed bfloat at the seams by bitcasts.
    for (llvm::Instruction* instruction : affected)
      if (llvm::Value* replacement = lower_operation(*instruction)) {
        if (replacement->getType() != instruction->getType())
          replacement = builder_.CreateBitCast(replacement, instruction->getType());
        instruction->replaceAllUsesWith(replacement);
        instruction->eraseFromParent();
      }
    // 2. What is left only moves values: its types change in place.
    for (llvm::Argument& argument : function_.args()) {
      if (!is_bfloat(argument.getType()) || argument.use_empty())
        continue;
      llvm::Type* bits = bits_type(argument.getType());
      auto* cast = llvm::CastInst::Create(llvm::Instruction::BitCast,
                                          llvm::UndefValue::get(argument.getType()), bits);
      cast->insertBefore(&*function_.getEntryBlock().getFirstInsertionPt());
      argument.replaceAllUsesWith(cast);
      cast->setOperand(0, &argument);
      kept_.insert(cast);
    }
    for (llvm::Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function_)))
      if (!kept_.contains(&instruction))
        retype(instruction);
  }

 private:
  llvm::Value* bits_of(llvm::Value* value) {
    return builder_.CreateBitCast(value, bits_type(value->getType()));
  }

  llvm::Value* decode(llvm::Value* value) {
    if (!is_bfloat(value->getType()))
      return value;
    llvm::Value* word = builder_.CreateZExt(bits_of(value), word_type(value->getType()));
    return builder_.CreateBitCast(builder_.CreateShl(word, 16), float_type(value->getType()));
  }

  // Round to nearest even; a NaN keeps its upper bits and becomes quiet.
  llvm::Value* encode(llvm::Value* value) {
    llvm::Type* word = word_type(value->getType());
    llvm::Value* bits = builder_.CreateBitCast(value, word);
    llvm::Value* odd =
        builder_.CreateAnd(builder_.CreateLShr(bits, 16), llvm::ConstantInt::get(word, 1));
    llvm::Value* rounded =
        builder_.CreateAdd(bits, builder_.CreateAdd(odd, llvm::ConstantInt::get(word, 0x7fff)));
    llvm::Value* quiet = builder_.CreateOr(bits, llvm::ConstantInt::get(word, 0x400000));
    // Compared as integers: fast-math flags must not remove the NaN case.
    llvm::Value* magnitude = builder_.CreateAnd(bits, llvm::ConstantInt::get(word, 0x7fffffff));
    llvm::Value* is_nan =
        builder_.CreateICmpUGT(magnitude, llvm::ConstantInt::get(word, 0x7f800000));
    llvm::Value* chosen = builder_.CreateSelect(is_nan, quiet, rounded);
    return builder_.CreateTrunc(builder_.CreateLShr(chosen, 16), bits_type(value->getType()));
  }

  llvm::Value* to_float(llvm::Value* value) {
    llvm::Type* type = float_type(value->getType());
    return value->getType() == type ? value : builder_.CreateFPCast(value, type);
  }

  // Null: not an operation, only a move.
  llvm::Value* lower_operation(llvm::Instruction& instruction) {
    builder_.SetInsertPoint(&instruction);
    builder_.setFastMathFlags(llvm::isa<llvm::FPMathOperator>(instruction)
                                  ? instruction.getFastMathFlags()
                                  : llvm::FastMathFlags());
    llvm::Value* first = instruction.getNumOperands() > 0 ? instruction.getOperand(0) : nullptr;
    if (auto* operation = llvm::dyn_cast<llvm::BinaryOperator>(&instruction))
      return encode(builder_.CreateBinOp(operation->getOpcode(), decode(first),
                                         decode(operation->getOperand(1))));
    if (instruction.getOpcode() == llvm::Instruction::FNeg) {
      llvm::Value* bits = bits_of(first);
      return builder_.CreateXor(bits, llvm::ConstantInt::get(bits->getType(), 0x8000));
    }
    if (auto* compare = llvm::dyn_cast<llvm::FCmpInst>(&instruction))
      return builder_.CreateFCmp(compare->getPredicate(), decode(first),
                                 decode(compare->getOperand(1)));
    if (auto* cast = llvm::dyn_cast<llvm::CastInst>(&instruction)) {
      if (llvm::isa<llvm::BitCastInst>(cast))
        return nullptr;
      if (is_bfloat(cast->getSrcTy())) {
        llvm::Value* value = decode(first);
        if (llvm::isa<llvm::FPExtInst>(cast) || llvm::isa<llvm::FPTruncInst>(cast))
          return cast->getDestTy() == value->getType()
                     ? value
                     : builder_.CreateFPCast(value, cast->getDestTy());
        return builder_.CreateCast(cast->getOpcode(), value, cast->getDestTy());
      }
      if (llvm::isa<llvm::FPExtInst>(cast) || llvm::isa<llvm::FPTruncInst>(cast))
        return encode(to_float(first));
      // From wide integers through float would round twice.
      if (llvm::isa<llvm::SIToFPInst>(cast) || llvm::isa<llvm::UIToFPInst>(cast))
        return integer_to_bfloat(builder_, first, llvm::isa<llvm::SIToFPInst>(cast));
      return encode(builder_.CreateCast(cast->getOpcode(), first, float_type(cast->getDestTy())));
    }
    if (auto* intrinsic = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction))
      return lower_intrinsic(*intrinsic);
    return nullptr;
  }

  llvm::Value* lower_intrinsic(llvm::IntrinsicInst& call) {
    llvm::SmallVector<llvm::Type*, 4> overloads;
    if (!llvm::Intrinsic::getIntrinsicSignature(call.getCalledFunction(), overloads))
      return nullptr;
    for (llvm::Type*& type : overloads)
      if (is_bfloat(type))
        type = float_type(type);
    llvm::SmallVector<llvm::Value*, 4> arguments;
    for (llvm::Value* argument : call.args())
      arguments.push_back(decode(argument));
    llvm::Function* wide =
        llvm::Intrinsic::getDeclaration(function_.getParent(), call.getIntrinsicID(), overloads);
    llvm::Value* result = builder_.CreateCall(wide, arguments);
    return is_bfloat(call.getType()) ? encode(result) : result;
  }

  llvm::Constant* bits_constant(llvm::Constant* constant) {
    return llvm::ConstantFoldCastOperand(llvm::Instruction::BitCast, constant,
                                         bits_type(constant->getType()),
                                         function_.getParent()->getDataLayout());
  }

  void retype(llvm::Instruction& instruction) {
    if (auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction)) {
      for (llvm::Use& argument : call->args())
        keep_operand(argument,
                     call->getFunctionType()->getParamType(call->getArgOperandNo(&argument)));
      keep_result(instruction);
      return;
    }
    // What a function that was not inlined is given and gives keeps its type, and so do members of
    // aggregates.
    if (auto* give = llvm::dyn_cast<llvm::ReturnInst>(&instruction)) {
      if (give->getReturnValue())
        keep_operand(give->getOperandUse(0), give->getReturnValue()->getType());
      return;
    }
    if (llvm::isa<llvm::ExtractValueInst>(instruction))
      return keep_result(instruction);
    if (auto* insert = llvm::dyn_cast<llvm::InsertValueInst>(&instruction))
      return keep_operand(insert->getOperandUse(1), insert->getInsertedValueOperand()->getType());
    for (llvm::Use& operand : instruction.operands())
      if (auto* constant = llvm::dyn_cast<llvm::Constant>(operand.get()))
        if (is_bfloat(constant->getType()))
          operand.set(bits_constant(constant));
    if (auto* cast = llvm::dyn_cast<llvm::BitCastInst>(&instruction)) {
      auto after = [](llvm::Type* type) { return is_bfloat(type) ? bits_type(type) : type; };
      cast->mutateType(after(cast->getType()));
      if (cast->getType() == after(cast->getOperand(0)->getType()))
        same_.push_back(cast);
    } else if (is_bfloat(instruction.getType())) {
      instruction.mutateType(bits_type(instruction.getType()));
    }
  }

  // Casts are made by hand: what they cast may or may not be retyped yet, and a builder would fold.
  void keep_operand(llvm::Use& operand, llvm::Type* wanted) {
    if (!is_bfloat(wanted) || llvm::isa<llvm::Constant>(operand.get()))
      return;
    auto* user = llvm::cast<llvm::Instruction>(operand.getUser());
    auto* cast = llvm::CastInst::Create(llvm::Instruction::BitCast,
                                        llvm::UndefValue::get(bits_type(wanted)), wanted);
    cast->insertBefore(user);
    cast->setOperand(0, operand.get());
    operand.set(cast);
  }

  void keep_result(llvm::Instruction& instruction) {
    if (!is_bfloat(instruction.getType()) || instruction.use_empty())
      return;
    auto* bits = llvm::CastInst::Create(llvm::Instruction::BitCast,
                                        llvm::UndefValue::get(instruction.getType()),
                                        bits_type(instruction.getType()));
    bits->insertAfter(&instruction);
    instruction.replaceAllUsesWith(bits);
    bits->setOperand(0, &instruction);
  }

  llvm::Function& function_;
  llvm::IRBuilder<> builder_;

 public:
  std::vector<llvm::CastInst*> same_; // bitcasts that became no-ops

 private:
  llvm::SmallPtrSet<llvm::Instruction*, 4> kept_; // casts of arguments
};

} // namespace

void lower_bfloat(llvm::Function& function) {
  BFloatLowering lowering(function);
  lowering.run();
  for (llvm::CastInst* cast : lowering.same_) {
    cast->replaceAllUsesWith(cast->getOperand(0));
    cast->eraseFromParent();
  }
}

} // namespace metalwright::simt
