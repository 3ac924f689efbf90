// Operations of all threadgroups, lane by lane.
#include "simt/widener.h"

#include <llvm/Analysis/VectorUtils.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/PatternMatch.h>

namespace metalwright::simt {

using llvm::Instruction;
using llvm::Value;

void Widener::set(Instruction& instruction, unsigned lane, Value* value) {
  std::vector<Value*>& lanes = wide_[&instruction];
  lanes.resize(count_of(instruction.getType()));
  lanes[lane] = value;
}

void Widener::widen(Instruction& instruction) {
  if (widen_memory(instruction))
    return;
  switch (instruction.getOpcode()) {
  case Instruction::InsertElement:
  case Instruction::ExtractElement:
  case Instruction::ShuffleVector:
    return widen_movement(instruction);
  case Instruction::BitCast:
    return widen_bits(instruction);
  case Instruction::Call:
    return widen_call(llvm::cast<llvm::CallInst>(instruction));
  case Instruction::ICmp:
    if (widen_vote(llvm::cast<llvm::ICmpInst>(instruction)))
      return;
    break;
  default:
    break;
  }
  const bool is_plain =
      llvm::isa<llvm::BinaryOperator, llvm::UnaryOperator, llvm::CastInst, llvm::CmpInst,
                llvm::SelectInst, llvm::FreezeInst, llvm::GetElementPtrInst>(instruction);
  if (!is_plain) {
    fail();
    return;
  }
  for (unsigned i = 0; i < count_of(instruction.getType()); ++i)
    set(instruction, i, element_of(instruction, i));
}

Value* Widener::element_of(Instruction& instruction, unsigned lane) {
  auto operand = [&](unsigned i) {
    Value* value = instruction.getOperand(i);
    return wide(value, value->getType()->isVectorTy() ? lane : 0);
  };
  Value* made = nullptr;
  if (auto* binary = llvm::dyn_cast<llvm::BinaryOperator>(&instruction))
    made = builder_.CreateBinOp(binary->getOpcode(), operand(0), operand(1));
  else if (auto* unary = llvm::dyn_cast<llvm::UnaryOperator>(&instruction))
    made = builder_.CreateUnOp(unary->getOpcode(), operand(0));
  else if (auto* cast = llvm::dyn_cast<llvm::CastInst>(&instruction))
    made = builder_.CreateCast(cast->getOpcode(), operand(0), wide_type(cast->getType()));
  else if (auto* comparison = llvm::dyn_cast<llvm::CmpInst>(&instruction))
    made = builder_.CreateCmp(comparison->getPredicate(), operand(0), operand(1));
  else if (llvm::isa<llvm::SelectInst>(instruction))
    made = builder_.CreateSelect(operand(0), operand(1), operand(2));
  else if (llvm::isa<llvm::FreezeInst>(instruction))
    made = builder_.CreateFreeze(operand(0));
  else if (auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(&instruction)) {
    llvm::SmallVector<Value*, 4> indices;
    for (unsigned i = 1; i < address->getNumOperands(); ++i)
      indices.push_back(operand(i));
    made = builder_.CreateGEP(address->getSourceElementType(), operand(0), indices);
  }
  if (auto* result = llvm::dyn_cast_or_null<Instruction>(made))
    result->copyIRFlags(&instruction);
  return made;
}

void Widener::widen_movement(Instruction& instruction) {
  const unsigned count = count_of(instruction.getType());
  if (auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(&instruction)) {
    const int first = static_cast<int>(count_of(shuffle->getOperand(0)->getType()));
    for (unsigned i = 0; i < count; ++i) {
      const int from = shuffle->getMaskValue(i);
      set(instruction, i,
          from < 0       ? llvm::PoisonValue::get(wide_type(instruction.getType()))
          : from < first ? wide(shuffle->getOperand(0), static_cast<unsigned>(from))
                         : wide(shuffle->getOperand(1), static_cast<unsigned>(from - first)));
    }
    return;
  }
  const bool is_insert = llvm::isa<llvm::InsertElementInst>(instruction);
  Value* index = instruction.getOperand(is_insert ? 2 : 1);
  Value* vector = instruction.getOperand(0);
  const auto* place = llvm::dyn_cast<llvm::ConstantInt>(index);
  if (is_insert) {
    for (unsigned i = 0; i < count; ++i) {
      Value* before = place && place->getZExtValue() != i ? wide(vector, i) : nullptr;
      if (!place)
        before = builder_.CreateSelect(builder_.CreateICmpEQ(wide(index, 0), lane_number(index, i)),
                                       wide(instruction.getOperand(1), 0), wide(vector, i));
      set(instruction, i, before ? before : wide(instruction.getOperand(1), 0));
    }
    return;
  }
  if (place) {
    set(instruction, 0, wide(vector, static_cast<unsigned>(place->getZExtValue())));
    return;
  }
  set(instruction, 0, own_element(vector, wide(index, 0)));
}

// The distance between neighbouring elements of a constant, if that is always the same.
static std::optional<llvm::APInt> distance_in(Value* vector) {
  const auto* constant = llvm::dyn_cast<llvm::Constant>(vector);
  const auto* type = llvm::cast<llvm::FixedVectorType>(vector->getType());
  if (!constant || !type->getElementType()->isIntegerTy())
    return std::nullopt;
  std::optional<llvm::APInt> distance;
  const llvm::ConstantInt* before = nullptr;
  for (unsigned i = 0; i < type->getNumElements(); ++i) {
    const auto* number =
        llvm::dyn_cast_or_null<llvm::ConstantInt>(constant->getAggregateElement(i));
    if (!number)
      return std::nullopt;
    if (before) {
      llvm::APInt found = number->getValue() - before->getValue();
      if (distance && *distance != found)
        return std::nullopt;
      distance = std::move(found);
    }
    before = number;
  }
  return distance;
}

Value* Widener::own_element(Value* vector, Value* index) {
  llvm::Type* type = wide_type(vector->getType());
  if (splatted(vector))
    return wide(vector, 0);
  if (const std::optional<llvm::APInt> distance = distance_in(vector))
    return builder_.CreateAdd(wide(vector, 0),
                              builder_.CreateMul(builder_.CreateZExtOrTrunc(index, type),
                                                 llvm::ConstantInt::get(type, *distance)));
  // What is the same for all threadgroups, as the number of a thread, is computed for this element.
  auto* sum = llvm::dyn_cast<llvm::BinaryOperator>(vector);
  const auto* disjoint = llvm::dyn_cast<llvm::PossiblyDisjointInst>(vector);
  if (sum && !is_varying(sum) &&
      (sum->getOpcode() == Instruction::Add || (disjoint && disjoint->isDisjoint())))
    return builder_.CreateAdd(own_element(sum->getOperand(0), index),
                              own_element(sum->getOperand(1), index));
  // Each bit of the index, from its lowest, leaves half of the elements.
  llvm::SmallVector<Value*, kSimdgroupSize> found;
  for (unsigned i = 0; i < count_of(vector->getType()); ++i)
    found.push_back(wide(vector, i));
  for (unsigned bit = 0; found.size() > 1; ++bit) {
    Value* is_odd =
        builder_.CreateTrunc(builder_.CreateLShr(index, bit), wide_type(builder_.getInt1Ty()));
    for (unsigned i = 0; i + 1 < found.size(); i += 2)
      found[i / 2] = builder_.CreateSelect(is_odd, found[i + 1], found[i]);
    if (found.size() % 2 != 0)
      found[found.size() / 2] = found.back();
    found.resize((found.size() + 1) / 2);
  }
  return found.front();
}

void Widener::widen_bits(Instruction& instruction) {
  Value* operand = instruction.getOperand(0);
  llvm::Type* from = operand->getType();
  llvm::Type* to = instruction.getType();
  const unsigned count = count_of(to);
  if (count_of(from) == count) {
    for (unsigned i = 0; i < count; ++i)
      set(instruction, i, builder_.CreateBitCast(wide(operand, i), wide_type(to)));
  } else if (from->getScalarType()->isIntegerTy(1) && count == 1 && to->isIntegerTy()) {
    Value* bits = llvm::Constant::getNullValue(wide_type(to));
    for (unsigned i = 0; i < count_of(from); ++i)
      bits = builder_.CreateOr(
          bits,
          builder_.CreateSelect(
              wide(operand, i),
              llvm::ConstantInt::get(wide_type(to), llvm::APInt::getOneBitSet(count_of(from), i)),
              llvm::Constant::getNullValue(wide_type(to))));
    set(instruction, 0, bits);
  } else if (to->getScalarType()->isIntegerTy(1) && from->isIntegerTy()) {
    for (unsigned i = 0; i < count; ++i)
      set(instruction, i,
          builder_.CreateTrunc(builder_.CreateLShr(wide(operand, 0), i), wide_type(to)));
  } else {
    fail();
  }
}

bool Widener::widen_vote(llvm::ICmpInst& comparison) {
  namespace pattern = llvm::PatternMatch;
  Value* mask = nullptr;
  if (!comparison.isEquality() ||
      !pattern::match(comparison.getOperand(0), pattern::m_BitCast(pattern::m_Value(mask))) ||
      !mask->getType()->isVectorTy() || !mask->getType()->getScalarType()->isIntegerTy(1))
    return false;
  const bool is_none = pattern::match(comparison.getOperand(1), pattern::m_Zero());
  if (!is_none && !pattern::match(comparison.getOperand(1), pattern::m_AllOnes()))
    return false;
  Value* all = wide(mask, 0);
  for (unsigned i = 1; i < count_of(mask->getType()); ++i)
    all = is_none ? builder_.CreateOr(all, wide(mask, i)) : builder_.CreateAnd(all, wide(mask, i));
  const bool is_equal = comparison.getPredicate() == llvm::ICmpInst::ICMP_EQ;
  set(comparison, 0, is_none == is_equal ? builder_.CreateNot(all) : all);
  return true;
}

void Widener::widen_call(llvm::CallInst& call) {
  auto* intrinsic = llvm::dyn_cast<llvm::IntrinsicInst>(&call);
  const auto id = intrinsic ? intrinsic->getIntrinsicID() : llvm::Intrinsic::not_intrinsic;
  if (id == llvm::Intrinsic::lifetime_start || id == llvm::Intrinsic::lifetime_end ||
      id == llvm::Intrinsic::assume || id == llvm::Intrinsic::prefetch)
    return;
  if (id == llvm::Intrinsic::x86_avx512_mask_scalef_ps_512)
    return widen_scaling(call);
  if (!llvm::isTriviallyVectorizable(id)) {
    fail();
    return;
  }
  for (unsigned i = 0; i < count_of(call.getType()); ++i) {
    llvm::SmallVector<Value*, 4> arguments;
    llvm::SmallVector<llvm::Type*, 3> types;
    if (llvm::isVectorIntrinsicWithOverloadTypeAtArg(id, -1))
      types.push_back(wide_type(call.getType()));
    for (unsigned k = 0; k < call.arg_size(); ++k) {
      Value* argument = call.getArgOperand(k);
      const bool is_scalar = llvm::isVectorIntrinsicWithScalarOpAtArg(id, k);
      Value* value =
          is_scalar ? base(argument) : wide(argument, argument->getType()->isVectorTy() ? i : 0);
      if (!value) {
        fail();
        return;
      }
      arguments.push_back(value);
      if (llvm::isVectorIntrinsicWithOverloadTypeAtArg(id, static_cast<int>(k)))
        types.push_back(value->getType());
    }
    Value* made = builder_.CreateIntrinsic(id, types, arguments);
    if (auto* result = llvm::dyn_cast<Instruction>(made))
      result->copyIRFlags(&call);
    set(call, i, made);
  }
}

void Widener::widen_scaling(llvm::CallInst& call) {
  const auto* mask = llvm::dyn_cast<llvm::ConstantInt>(call.getArgOperand(3));
  if (!mask || !mask->isMinusOne()) {
    fail();
    return;
  }
  for (unsigned i = 0; i < count_of(call.getType()); ++i) {
    Value* value = wide(call.getArgOperand(0), i);
    Value* exponent = wide(call.getArgOperand(1), i);
    Value* made = width_ == 8
                      ? builder_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_scalef_ps_256, {},
                                                 {value, exponent, value, builder_.getInt8(0xff)})
                      : builder_.CreateIntrinsic(
                            llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
                            {value, exponent, value, call.getArgOperand(3), call.getArgOperand(4)});
    set(call, i, made);
  }
}

} // namespace metalwright::simt
