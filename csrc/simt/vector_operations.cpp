// Instructions that do for each lane what they do for one.
#include "simt/stride_loops.h"
#include "simt/vector_builder.h"

#include "simt/lane_function.h"
#include "simt/maths_library.h"

#include <llvm/Analysis/VectorUtils.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Operator.h>

namespace metalwright::simt {

using llvm::Instruction;
using llvm::Type;
using llvm::Value;

namespace {

// Gone after this: nothing depends on it.
bool is_remark(const Instruction& instruction) {
  const auto* intrinsic = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
  return intrinsic && (intrinsic->isAssumeLikeIntrinsic() || intrinsic->isLifetimeStartOrEnd());
}

bool any_varying(const LaneAnalysis& lanes, const Instruction& instruction) {
  return llvm::any_of(instruction.operands(),
                      [&](const llvm::Use& operand) { return lanes.is_varying(operand); });
}

} // namespace

void VectorBuilder::build_instruction(Instruction& instruction) {
  if (llvm::isa<llvm::PHINode>(instruction) || is_remark(instruction))
    return;
  builder_.SetCurrentDebugLocation(instruction.getDebugLoc());
  if (auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction)) {
    if (const std::optional<ConvergentOp> op = convergent_op(*call))
      return build_cross_lane(*call, *op);
    const llvm::Function* callee = call->getCalledFunction();
    if (callee && callee->getName() == kReconvergeMarker)
      return;
    if (callee && callee->getName() == kCutFunction) {
      builder_.Insert(call->clone());
      return;
    }
  }
  if (build_matrix_instruction(instruction))
    return;
  const Pattern& pattern = lanes_.pattern(&instruction);
  if (is_varying(&instruction) && pattern.is_exact())
    return build_pattern(instruction, pattern);
  const bool varying = instruction.getType()->isVoidTy() ? any_varying(lanes_, instruction)
                                                         : is_varying(&instruction);
  if (varying)
    build_varying(instruction);
  else
    build_uniform(instruction);
}

void VectorBuilder::build_uniform(Instruction& instruction) {
  if (auto* variable = llvm::dyn_cast<llvm::AllocaInst>(&instruction))
    return build_matrix_variable(*variable);
  if (llvm::isa<llvm::AtomicRMWInst>(instruction) ||
      llvm::isa<llvm::AtomicCmpXchgInst>(instruction))
    return build_varying(instruction); // uniform in nothing but their operands
  Instruction* copy = instruction.clone();
  for (llvm::Use& operand : copy->operands()) {
    if (llvm::isa<llvm::MetadataAsValue>(operand.get()) || llvm::isa<llvm::Function>(operand.get()))
      continue;
    operand.set(scalar(operand.get()));
  }
  copy->setDebugLoc({});
  builder_.Insert(copy);
  if (!copy->getType()->isVoidTy())
    set_scalar(&instruction, copy);
}

// Lane 0's value by the same operation, the vector from it.
void VectorBuilder::build_pattern(Instruction& instruction, const Pattern& pattern) {
  Type* type = instruction.getType();
  Value* base = firsts_.lookup(&instruction);
  if (!base) {
    if (auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction)) {
      if (call->getCalledFunction()->getName() != kLaneFunction)
        refuse(instruction, "a call with a pattern");
      base = llvm::ConstantInt::get(type, 0);
    } else if (auto* variable = llvm::dyn_cast<llvm::AllocaInst>(&instruction)) {
      llvm::IRBuilder<> entry(entry_, entry_->begin());
      if (!llvm::isa<llvm::ConstantInt>(variable->getArraySize()) || variable->isArrayAllocation())
        refuse(instruction, "a private array of variable size");
      llvm::AllocaInst* all = entry.CreateAlloca(
          llvm::ArrayType::get(entry.getInt8Ty(), kLanes * private_stride(*variable, layout_)));
      all->setAlignment(std::max(variable->getAlign(), llvm::Align(64)));
      base = all;
    } else if (auto* disjoint = llvm::dyn_cast<llvm::PossiblyDisjointInst>(&instruction);
               disjoint && disjoint->isDisjoint()) {
      // Disjoint for the lanes that run, perhaps because of a test that lane 0 did not pass: what
      // the pattern means is the sum.
      base = builder_.CreateAdd(first(instruction.getOperand(0)), first(instruction.getOperand(1)));
    } else {
      Instruction* copy = instruction.clone();
      for (llvm::Use& operand : copy->operands())
        if (!llvm::isa<llvm::Constant>(operand.get()))
          operand.set(first(operand.get()));
      // Lane 0 may not be running: what was promised of running lanes is not said of it.
      copy->dropPoisonGeneratingAnnotations();
      copy->setDebugLoc({});
      base = builder_.Insert(copy);
    }
    firsts_[&instruction] = base;
  }
  if (type->isPointerTy())
    set_parts(&instruction, {builder_.CreateGEP(builder_.getInt8Ty(), base,
                                                offsets_vector(pattern, builder_.getInt64Ty()))});
  else
    set_parts(&instruction, {builder_.CreateAdd(splat(base), offsets_vector(pattern, type))});
}

void VectorBuilder::build_varying(Instruction& instruction) {
  switch (instruction.getOpcode()) {
  case Instruction::Load:
    return build_load(llvm::cast<llvm::LoadInst>(instruction));
  case Instruction::Store:
    return build_store(llvm::cast<llvm::StoreInst>(instruction));
  case Instruction::GetElementPtr:
    return build_address(llvm::cast<llvm::GetElementPtrInst>(instruction));
  case Instruction::BitCast:
    return build_bit_cast(llvm::cast<llvm::BitCastInst>(instruction));
  case Instruction::Call:
    return build_call(llvm::cast<llvm::CallInst>(instruction));
  case Instruction::AtomicRMW:
  case Instruction::AtomicCmpXchg:
    return build_by_lane(instruction);
  case Instruction::UDiv:
  case Instruction::SDiv:
  case Instruction::URem:
  case Instruction::SRem:
    return build_division(llvm::cast<llvm::BinaryOperator>(instruction));
  case Instruction::ExtractElement: {
    const Parts values = parts(instruction.getOperand(0));
    Value* index = instruction.getOperand(1);
    if (const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(index)) {
      const std::uint64_t number = constant->getValue().getLimitedValue(values.size());
      set_parts(&instruction,
                {number < values.size() ? values[number]
                                        : llvm::PoisonValue::get(values.front()->getType())});
      return;
    }
    Value* wanted = part(index);
    Value* result = values.front();
    for (unsigned i = 1; i < values.size(); ++i)
      result = builder_.CreateSelect(
          builder_.CreateICmpEQ(wanted, llvm::ConstantInt::get(wanted->getType(), i)), values[i],
          result);
    set_parts(&instruction, {result});
    return;
  }
  case Instruction::InsertElement: {
    Parts values = parts(instruction.getOperand(0));
    Value* element = part(instruction.getOperand(1));
    Value* index = instruction.getOperand(2);
    const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(index);
    for (unsigned i = 0; i < values.size(); ++i) {
      if (constant) {
        if (constant->getValue() == i)
          values[i] = element;
        continue;
      }
      Value* wanted = part(index);
      values[i] = builder_.CreateSelect(
          builder_.CreateICmpEQ(wanted, llvm::ConstantInt::get(wanted->getType(), i)), element,
          values[i]);
    }
    set_parts(&instruction, std::move(values));
    return;
  }
  case Instruction::ShuffleVector: {
    auto& shuffle = llvm::cast<llvm::ShuffleVectorInst>(instruction);
    Parts both = parts(shuffle.getOperand(0));
    both.append(parts(shuffle.getOperand(1)));
    Parts result;
    for (const int index : shuffle.getShuffleMask())
      result.push_back(index >= 0 ? both[static_cast<unsigned>(index)]
                                  : llvm::PoisonValue::get(both.front()->getType()));
    set_parts(&instruction, std::move(result));
    return;
  }
  case Instruction::ExtractValue:
  case Instruction::InsertValue: {
    const bool extracts = instruction.getOpcode() == Instruction::ExtractValue;
    const llvm::ArrayRef<unsigned> path =
        extracts ? llvm::cast<llvm::ExtractValueInst>(instruction).getIndices()
                 : llvm::cast<llvm::InsertValueInst>(instruction).getIndices();
    Type* type = instruction.getOperand(0)->getType();
    unsigned begin = 0;
    for (const unsigned index : path) {
      for (unsigned i = 0; i < index; ++i)
        begin += count_leaves(type->isArrayTy() ? type->getArrayElementType()
                                                : type->getStructElementType(i));
      type = type->isArrayTy() ? type->getArrayElementType() : type->getStructElementType(index);
    }
    Parts whole = parts(instruction.getOperand(0));
    const unsigned count = count_leaves(type);
    if (extracts) {
      set_parts(&instruction, Parts(whole.begin() + begin, whole.begin() + begin + count));
      return;
    }
    const Parts inserted = parts(instruction.getOperand(1));
    std::copy(inserted.begin(), inserted.end(), whole.begin() + begin);
    set_parts(&instruction, std::move(whole));
    return;
  }
  case Instruction::Fence:
    builder_.Insert(instruction.clone());
    return;
  default:
    if (instruction.isUnaryOp() || instruction.isBinaryOp() || instruction.isCast() ||
        llvm::isa<llvm::CmpInst, llvm::SelectInst, llvm::FreezeInst>(instruction))
      return build_element_wise(instruction);
    refuse(instruction, std::string("the instruction ") + instruction.getOpcodeName());
  }
}

void VectorBuilder::build_element_wise(Instruction& instruction) {
  if (const auto* compare = llvm::dyn_cast<llvm::ICmpInst>(&instruction))
    if (Value* mask = mask_of_first_lanes(*compare))
      return set_parts(&instruction, {mask});
  llvm::SmallVector<Type*, 4> leaves;
  collect_leaves(instruction.getType(), leaves);
  llvm::SmallVector<Parts, 3> operands;
  // A condition of a select that is one for all stays a scalar.
  const auto* select = llvm::dyn_cast<llvm::SelectInst>(&instruction);
  const bool scalar_condition = select && !is_varying(select->getCondition()) &&
                                !select->getCondition()->getType()->isVectorTy();
  for (const llvm::Use& operand : instruction.operands())
    operands.push_back(scalar_condition && operand.getOperandNo() == 0 ? Parts{scalar(operand)}
                                                                       : parts(operand));
  Parts results;
  for (unsigned i = 0; i < leaves.size(); ++i) {
    auto operand = [&](unsigned which) {
      const Parts& all = operands[which];
      return all.size() == leaves.size() ? all[i] : all.front();
    };
    Value* result = nullptr;
    if (auto* compare = llvm::dyn_cast<llvm::CmpInst>(&instruction)) {
      result = builder_.CreateCmp(compare->getPredicate(), operand(0), operand(1));
    } else if (auto* cast = llvm::dyn_cast<llvm::CastInst>(&instruction)) {
      result = builder_.CreateCast(cast->getOpcode(), operand(0), wide(leaves[i]));
    } else if (select) {
      result = builder_.CreateSelect(operand(0), operand(1), operand(2));
    } else if (llvm::isa<llvm::FreezeInst>(instruction)) {
      result = builder_.CreateFreeze(operand(0));
    } else if (instruction.isUnaryOp()) {
      result = builder_.CreateUnOp(static_cast<Instruction::UnaryOps>(instruction.getOpcode()),
                                   operand(0));
    } else {
      result = builder_.CreateBinOp(static_cast<Instruction::BinaryOps>(instruction.getOpcode()),
                                    operand(0), operand(1));
    }
    if (auto* made = llvm::dyn_cast<Instruction>(result))
      if (made->getOpcode() == instruction.getOpcode()) {
        made->copyIRFlags(&instruction);
        if (llvm::MDNode* mark = instruction.getMetadata(kScalingMark))
          made->setMetadata(kScalingMark, mark);
      }
    results.push_back(result);
  }
  set_parts(&instruction, std::move(results));
}

// Lanes that do not run may hold any divisor, also one that stops the program.
void VectorBuilder::build_division(llvm::BinaryOperator& division) {
  if (is_full_mask() || llvm::isa<llvm::Constant>(division.getOperand(1)) ||
      !is_varying(division.getOperand(1)))
    return build_element_wise(division);
  const Parts dividends = parts(division.getOperand(0));
  const Parts divisors = parts(division.getOperand(1));
  Parts results;
  for (unsigned i = 0; i < divisors.size(); ++i) {
    Value* one = llvm::ConstantInt::get(divisors[i]->getType(), 1);
    Value* divisor = builder_.CreateSelect(mask_, divisors[i], one);
    results.push_back(builder_.CreateBinOp(division.getOpcode(), dividends[i], divisor));
  }
  set_parts(&division, std::move(results));
}

void VectorBuilder::build_bit_cast(llvm::BitCastInst& cast) {
  const Parts from = parts(cast.getOperand(0));
  llvm::SmallVector<Type*, 4> to;
  collect_leaves(cast.getType(), to);
  Parts results;
  if (from.size() == to.size()) {
    for (unsigned i = 0; i < to.size(); ++i)
      results.push_back(builder_.CreateBitCast(from[i], wide(to[i])));
    set_parts(&cast, std::move(results));
    return;
  }
  const unsigned from_bits = from.front()->getType()->getScalarSizeInBits();
  const unsigned to_bits = to.front()->getScalarSizeInBits();
  if (from_bits % to_bits != 0 && to_bits % from_bits != 0)
    refuse(cast, "a bit cast between elements of unlike sizes");
  Type* narrow = wide(builder_.getIntNTy(std::min(from_bits, to_bits)));
  Type* broad = wide(builder_.getIntNTy(std::max(from_bits, to_bits)));
  for (unsigned i = 0; i < to.size(); ++i) {
    Value* value = nullptr;
    if (from_bits > to_bits) {
      const unsigned ratio = from_bits / to_bits;
      value = builder_.CreateBitCast(from[i / ratio], broad);
      value = builder_.CreateTrunc(builder_.CreateLShr(value, i % ratio * to_bits), narrow);
    } else {
      const unsigned ratio = to_bits / from_bits;
      for (unsigned k = 0; k < ratio; ++k) {
        Value* piece = builder_.CreateBitCast(from[i * ratio + k], narrow);
        piece = builder_.CreateShl(builder_.CreateZExt(piece, broad), k * from_bits);
        value = value ? builder_.CreateOr(value, piece) : piece;
      }
    }
    results.push_back(builder_.CreateBitCast(value, wide(to[i])));
  }
  set_parts(&cast, std::move(results));
}

void VectorBuilder::build_address(llvm::GetElementPtrInst& address) {
  if (address.getType()->isVectorTy())
    refuse(address, "a vector of pointers");
  Value* base = is_varying(address.getPointerOperand()) ? part(address.getPointerOperand())
                                                        : scalar(address.getPointerOperand());
  llvm::SmallVector<Value*, 4> indices;
  for (const llvm::Use& index : address.indices())
    indices.push_back(is_varying(index) ? part(index) : scalar(index));
  Value* result = builder_.CreateGEP(address.getSourceElementType(), base, indices);
  if (!result->getType()->isVectorTy())
    result = splat(result);
  set_parts(&address, {result});
}

void VectorBuilder::build_call(llvm::CallInst& call) {
  if (auto* intrinsic = llvm::dyn_cast<llvm::MemIntrinsic>(&call))
    return build_by_lane(*intrinsic);
  const llvm::Function* callee = call.getCalledFunction();
  const llvm::Intrinsic::ID id = call.getIntrinsicID();
  if (id == llvm::Intrinsic::trap) {
    builder_.Insert(call.clone());
    return;
  }
  if (!callee || id == llvm::Intrinsic::not_intrinsic)
    refuse(call, callee ? "a call of " + callee->getName().str() : "a call through a pointer");
  llvm::SmallVector<Type*, 4> leaves;
  collect_leaves(call.getType(), leaves);
  if (!llvm::isTriviallyVectorizable(id) || call.getType()->isStructTy())
    return build_by_lane(call);
  llvm::SmallVector<Parts, 4> operands;
  for (unsigned i = 0; i < call.arg_size(); ++i) {
    const llvm::Use& argument = call.getArgOperandUse(i);
    if (llvm::isVectorIntrinsicWithScalarOpAtArg(id, i)) {
      if (is_varying(argument))
        return build_by_lane(call);
      operands.push_back({scalar(argument)});
    } else {
      operands.push_back(parts(argument));
    }
  }
  Parts results;
  for (unsigned leaf = 0; leaf < leaves.size(); ++leaf) {
    llvm::SmallVector<Value*, 4> arguments;
    llvm::SmallVector<Type*, 4> overloads;
    if (llvm::isVectorIntrinsicWithOverloadTypeAtArg(id, -1))
      overloads.push_back(wide(leaves[leaf]));
    for (unsigned i = 0; i < operands.size(); ++i) {
      arguments.push_back(operands[i].size() == leaves.size() ? operands[i][leaf]
                                                              : operands[i].front());
      if (llvm::isVectorIntrinsicWithOverloadTypeAtArg(id, static_cast<int>(i)))
        overloads.push_back(arguments.back()->getType());
    }
    llvm::CallInst* made =
        builder_.CreateCall(llvm::Intrinsic::getDeclaration(&module_, id, overloads), arguments);
    if (llvm::isa<llvm::FPMathOperator>(made))
      made->copyFastMathFlags(&call);
    results.push_back(made);
  }
  set_parts(&call, std::move(results));
}

// One lane after the other: atomics, and intrinsics that have no vector form.
void VectorBuilder::build_by_lane(Instruction& instruction) {
  if (instruction.isAtomic())
    note(instruction, "an atomic operation: one lane after the other");
  else if (llvm::isa<llvm::CallInst>(instruction))
    note(instruction, "a function without a vector form: one lane after the other");
  else
    note(instruction, "an access that vectors have no form for: one lane after the other");
  llvm::SmallVector<Type*, 4> leaves;
  Type* type = instruction.getType();
  const bool gives = !type->isVoidTy();
  if (gives)
    collect_leaves(type, leaves);
  // Operands are read from memory by lane: extracting at a variable index does the same, each time.
  struct Operand {
    llvm::SmallVector<Value*, 4> memory;
    llvm::SmallVector<Type*, 4> types;
  };
  llvm::SmallVector<Operand, 4> operands(instruction.getNumOperands());
  for (llvm::Use& use : instruction.operands()) {
    if (!is_varying(use))
      continue;
    Operand& operand = operands[use.getOperandNo()];
    for (Value* vector : parts(use)) {
      Type* element = vector->getType()->getScalarType();
      if (element->isIntegerTy(1)) {
        vector = builder_.CreateZExt(vector, wide(builder_.getInt8Ty()));
      }
      operand.types.push_back(element);
      operand.memory.push_back(spill(vector));
    }
    if (use->getType()->isAggregateType())
      refuse(instruction, "an aggregate operand, lane by lane");
  }
  llvm::SmallVector<Value*, 4> outputs;
  for (Type* leaf : leaves) {
    llvm::IRBuilder<> entry(entry_, entry_->begin());
    llvm::AllocaInst* memory =
        entry.CreateAlloca(wide(leaf->isIntegerTy(1) ? builder_.getInt8Ty() : leaf));
    memory->setAlignment(llvm::Align(64));
    outputs.push_back(memory);
  }
  for_each_lane(nullptr, [&](Value* lane) -> Value* {
    Instruction* copy = instruction.clone();
    for (llvm::Use& use : copy->operands()) {
      const Operand& operand = operands[use.getOperandNo()];
      if (operand.memory.empty()) {
        if (!llvm::isa<llvm::Constant>(use.get()))
          use.set(scalar(use.get()));
        continue;
      }
      Value* whole = nullptr;
      for (unsigned i = 0; i < operand.memory.size(); ++i) {
        const bool boolean = operand.types[i]->isIntegerTy(1);
        Type* stored = boolean ? builder_.getInt8Ty() : operand.types[i];
        Value* element =
            builder_.CreateLoad(stored, builder_.CreateGEP(stored, operand.memory[i], lane));
        if (boolean)
          element = builder_.CreateTrunc(element, operand.types[i]);
        if (!use->getType()->isVectorTy())
          whole = element;
        else
          whole = builder_.CreateInsertElement(
              whole ? whole : llvm::PoisonValue::get(use->getType()), element, i);
      }
      use.set(whole);
    }
    copy->setDebugLoc({});
    builder_.Insert(copy);
    if (!gives)
      return nullptr;
    for (unsigned i = 0; i < leaves.size(); ++i) {
      Value* element = type->isVectorTy()        ? builder_.CreateExtractElement(copy, i)
                       : type->isAggregateType() ? builder_.CreateExtractValue(copy, i)
                                                 : copy;
      Type* stored = leaves[i];
      if (stored->isIntegerTy(1)) {
        stored = builder_.getInt8Ty();
        element = builder_.CreateZExt(element, stored);
      }
      builder_.CreateStore(element, builder_.CreateGEP(stored, outputs[i], lane));
    }
    return nullptr;
  });
  if (!gives)
    return;
  if (type->isAggregateType() &&
      (!type->isStructTy() || count_leaves(type) != type->getStructNumElements()))
    refuse(instruction, "an aggregate result, lane by lane");
  Parts results;
  for (unsigned i = 0; i < leaves.size(); ++i) {
    const bool boolean = leaves[i]->isIntegerTy(1);
    Value* vector =
        builder_.CreateLoad(wide(boolean ? builder_.getInt8Ty() : leaves[i]), outputs[i]);
    results.push_back(boolean ? builder_.CreateTrunc(vector, wide(leaves[i])) : vector);
  }
  set_parts(&instruction, std::move(results));
}

} // namespace metalwright::simt
