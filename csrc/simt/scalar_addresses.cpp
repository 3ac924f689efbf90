// Computes extracted elements from the vector's operands, downwards.
#include "simt/scalar_addresses.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/Transforms/Utils/Local.h>

#include <map>
#include <optional>
#include <vector>

namespace metalwright::simt {

namespace {

using llvm::Value;

constexpr unsigned kMostElements = 4; // of one vector: with more of them it is worth its while
constexpr unsigned kDeepest = 16;

class ElementBuilder {
 public:
  // The element of `vector`, or null if that needs the vector.
  Value* element(Value* vector, unsigned index) {
    return can_compute(vector, index, 0) ? compute(vector, index) : nullptr;
  }

 private:
  // Where the element comes from in an operand: of the operand's element `second`.
  using Source = std::pair<Value*, unsigned>;

  static std::optional<Source> source(const llvm::ShuffleVectorInst& shuffle, unsigned index) {
    const int place = shuffle.getMaskValue(index);
    if (place < 0)
      return std::nullopt;
    const auto width =
        llvm::cast<llvm::FixedVectorType>(shuffle.getOperand(0)->getType())->getNumElements();
    const auto which = static_cast<unsigned>(place);
    return Source{shuffle.getOperand(which / width), which % width};
  }

  bool can_compute(const Value* value, unsigned index, unsigned depth) {
    if (!value->getType()->isVectorTy())
      return true;
    if (const auto* constant = llvm::dyn_cast<llvm::Constant>(value))
      return constant->getAggregateElement(index) != nullptr;
    if (depth > kDeepest)
      return false;
    // Without a memory, values that are used twice on each level would be looked at exponentially
    // often.
    const std::pair<const Value*, unsigned> key{value, index};
    if (const auto known = known_.find(key); known != known_.end())
      return known->second;
    return known_[key] = has_source(value, index, depth);
  }

  bool has_source(const Value* value, unsigned index, unsigned depth) {
    auto all_operands = [&](const llvm::User& user) {
      return llvm::all_of(user.operands(), [&](const llvm::Use& operand) {
        return can_compute(operand, index, depth + 1);
      });
    };
    if (const auto* insert = llvm::dyn_cast<llvm::InsertElementInst>(value)) {
      const auto* place = llvm::dyn_cast<llvm::ConstantInt>(insert->getOperand(2));
      return place &&
             (place->equalsInt(index) || can_compute(insert->getOperand(0), index, depth + 1));
    }
    if (const auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(value)) {
      const std::optional<Source> from = source(*shuffle, index);
      return from && can_compute(from->first, from->second, depth + 1);
    }
    if (llvm::isa<llvm::GetElementPtrInst>(value))
      return all_operands(llvm::cast<llvm::User>(*value));
    // Divisions would be done twice and are slower alone.
    if (const auto* operation = llvm::dyn_cast<llvm::BinaryOperator>(value))
      return value->getType()->isIntOrIntVectorTy() && !operation->isIntDivRem() &&
             all_operands(*operation);
    if (const auto* cast = llvm::dyn_cast<llvm::CastInst>(value))
      return (llvm::isa<llvm::ZExtInst, llvm::SExtInst, llvm::TruncInst, llvm::PtrToIntInst,
                        llvm::IntToPtrInst>(cast)) &&
             all_operands(*cast);
    return false;
  }

  Value* compute(Value* value, unsigned index) {
    if (!value->getType()->isVectorTy())
      return value;
    if (auto* constant = llvm::dyn_cast<llvm::Constant>(value))
      return constant->getAggregateElement(index);
    if (auto* insert = llvm::dyn_cast<llvm::InsertElementInst>(value)) {
      const bool is_it = llvm::cast<llvm::ConstantInt>(insert->getOperand(2))->equalsInt(index);
      return is_it ? insert->getOperand(1) : compute(insert->getOperand(0), index);
    }
    if (auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(value)) {
      const Source from = *source(*shuffle, index);
      return compute(from.first, from.second);
    }
    if (const auto made = made_.find({value, index}); made != made_.end())
      return made->second;
    auto* instruction = llvm::cast<llvm::Instruction>(value);
    llvm::IRBuilder<> builder(instruction);
    llvm::SmallVector<Value*, 4> operands;
    for (Value* operand : instruction->operands())
      operands.push_back(compute(operand, index));
    Value* result = nullptr;
    if (const auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(instruction))
      result = builder.CreateGEP(address->getSourceElementType(), operands[0],
                                 llvm::ArrayRef(operands).drop_front());
    else if (const auto* operation = llvm::dyn_cast<llvm::BinaryOperator>(instruction))
      result = builder.CreateBinOp(operation->getOpcode(), operands[0], operands[1]);
    else
      result = builder.CreateCast(llvm::cast<llvm::CastInst>(instruction)->getOpcode(), operands[0],
                                  instruction->getType()->getScalarType());
    if (auto* fresh = llvm::dyn_cast<llvm::Instruction>(result);
        fresh && fresh->getOpcode() == instruction->getOpcode())
      fresh->copyIRFlags(instruction);
    return made_[{value, index}] = result;
  }

  std::map<std::pair<const Value*, unsigned>, bool> known_;
  std::map<std::pair<const Value*, unsigned>, Value*> made_;
};

} // namespace

llvm::PreservedAnalyses ScalarAddresses::run(llvm::Function& function,
                                             llvm::FunctionAnalysisManager&) {
  // By vector, in the order of the program.
  llvm::MapVector<Value*, llvm::SmallVector<llvm::ExtractElementInst*, kMostElements>> extracts;
  for (llvm::Instruction& instruction : llvm::instructions(function)) {
    auto* extract = llvm::dyn_cast<llvm::ExtractElementInst>(&instruction);
    if (extract && llvm::isa<llvm::ConstantInt>(extract->getIndexOperand()) &&
        extract->getType()->isIntOrPtrTy() && llvm::isa<llvm::Instruction>(extract->getOperand(0)))
      extracts[extract->getVectorOperand()].push_back(extract);
  }
  ElementBuilder builder;
  std::vector<llvm::WeakTrackingVH> dead;
  for (auto& [vector, elements] : extracts) {
    if (elements.size() > kMostElements)
      continue;
    for (llvm::ExtractElementInst* extract : elements) {
      const auto index = static_cast<unsigned>(
          llvm::cast<llvm::ConstantInt>(extract->getIndexOperand())->getZExtValue());
      Value* scalar = builder.element(vector, index);
      if (!scalar || scalar->getType() != extract->getType())
        continue;
      extract->replaceAllUsesWith(scalar);
      dead.emplace_back(extract);
    }
  }
  if (dead.empty())
    return llvm::PreservedAnalyses::all();
  for (const llvm::WeakTrackingVH& instruction : dead)
    if (auto* left = llvm::dyn_cast_or_null<llvm::Instruction>(instruction))
      llvm::RecursivelyDeleteTriviallyDeadInstructions(left);
  llvm::PreservedAnalyses preserved;
  preserved.preserveSet<llvm::CFGAnalyses>();
  return preserved;
}

} // namespace metalwright::simt
