// Slopes of addresses from run to run and from lane to lane, and the loads that follow from them.
#include "simt/join_gathers.h"

#include "simt/steps.h"
#include "simt/transpose.h"

#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/PatternMatch.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>

#include <array>
#include <bit>
#include <optional>

namespace metalwright::simt {

namespace {

constexpr unsigned kLanes = 32;
constexpr unsigned kElement = 4; // bytes
constexpr unsigned kPiece = 4;   // elements of a register that every machine has

using Offsets = std::array<std::int64_t, kLanes>;

// By how much a vector's elements are more than its first one; of pointers in bytes.
std::optional<Offsets> offsets_of(llvm::Value* value, unsigned depth = 0) {
  Offsets offsets{};
  if (splatted(value))
    return offsets;
  if (auto* constant = llvm::dyn_cast<llvm::Constant>(value)) {
    for (unsigned i = 0; i < kLanes; ++i) {
      const auto* element =
          llvm::dyn_cast_or_null<llvm::ConstantInt>(constant->getAggregateElement(i));
      if (!element || element->getBitWidth() > 64)
        return std::nullopt;
      offsets[i] = element->getSExtValue();
    }
    for (unsigned i = kLanes; i-- > 0;)
      offsets[i] -= offsets[0];
    return offsets;
  }
  auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
  if (!instruction || depth > 6)
    return std::nullopt;
  switch (instruction->getOpcode()) {
  case llvm::Instruction::SExt:
  case llvm::Instruction::ZExt:
    return offsets_of(instruction->getOperand(0), depth + 1);
  case llvm::Instruction::Or:
    if (!llvm::cast<llvm::PossiblyDisjointInst>(instruction)->isDisjoint())
      return std::nullopt;
    [[fallthrough]];
  case llvm::Instruction::Add: {
    const auto left = offsets_of(instruction->getOperand(0), depth + 1);
    const auto right = offsets_of(instruction->getOperand(1), depth + 1);
    if (!left || !right)
      return std::nullopt;
    for (unsigned i = 0; i < kLanes; ++i)
      offsets[i] = (*left)[i] + (*right)[i];
    return offsets;
  }
  case llvm::Instruction::GetElementPtr: {
    auto& address = llvm::cast<llvm::GetElementPtrInst>(*instruction);
    if (address.getNumIndices() != 1 || address.getPointerOperandType()->isVectorTy() ||
        !address.getOperand(1)->getType()->isVectorTy())
      return std::nullopt;
    const auto index = offsets_of(address.getOperand(1), depth + 1);
    if (!index)
      return std::nullopt;
    const std::uint64_t size =
        address.getDataLayout().getTypeAllocSize(address.getSourceElementType()).getFixedValue();
    for (unsigned i = 0; i < kLanes; ++i)
      offsets[i] = (*index)[i] * static_cast<std::int64_t>(size);
    return offsets;
  }
  default:
    return std::nullopt;
  }
}

bool is_gather(const llvm::IntrinsicInst& call) {
  const auto* type = llvm::dyn_cast<llvm::FixedVectorType>(call.getType());
  return call.getIntrinsicID() == llvm::Intrinsic::masked_gather && type &&
         type->getNumElements() == kLanes && type->getScalarSizeInBits() == 8 * kElement &&
         call.hasMetadata(llvm::LLVMContext::MD_invariant_load);
}

// Which lanes run, where that is known when the program is made.
std::optional<std::uint32_t> known_lanes(const llvm::Value* mask) {
  const auto* constant = llvm::dyn_cast<llvm::Constant>(mask);
  if (!constant)
    return std::nullopt;
  std::uint32_t lanes = 0;
  for (unsigned i = 0; i < kLanes; ++i) {
    const auto* lane = llvm::dyn_cast_or_null<llvm::ConstantInt>(constant->getAggregateElement(i));
    if (!lane)
      return std::nullopt;
    lanes |= static_cast<std::uint32_t>(lane->getZExtValue()) << i;
  }
  return lanes;
}

} // namespace

std::vector<llvm::Instruction*>
find_common_quotients(llvm::Function& function,
                      const llvm::DenseMap<llvm::Instruction*, std::int64_t>& known,
                      unsigned runs) {
  Steps steps(known, runs, true);
  std::vector<llvm::Instruction*> found;
  for (llvm::Instruction& instruction : llvm::instructions(function))
    if (steps.is_quotient_of_all(instruction))
      found.push_back(&instruction);
  return found;
}

std::vector<llvm::IntrinsicInst*>
find_neighbouring_gathers(llvm::Function& function,
                          const llvm::DenseMap<llvm::Instruction*, std::int64_t>& known,
                          unsigned runs) {
  Steps steps(known, runs, true);
  std::vector<llvm::IntrinsicInst*> found;
  for (llvm::Instruction& instruction : llvm::instructions(function))
    if (auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction))
      if (is_gather(*call) && steps.of(call->getArgOperand(0)) == kElement &&
          steps.of(call->getArgOperand(2)) == 0 && steps.of(call->getArgOperand(3)) == 0 &&
          offsets_of(call->getArgOperand(0)))
        found.push_back(call);
  return found;
}

void merge_gathers(llvm::ArrayRef<llvm::IntrinsicInst*> gathers) {
  llvm::IntrinsicInst* first = gathers.front();
  llvm::Value* pointers = first->getArgOperand(0);
  llvm::Value* mask = first->getArgOperand(2);
  const Offsets offsets = *offsets_of(pointers);
  llvm::IRBuilder<> builder(first);
  llvm::Instruction* all = nullptr; // the end of the code for all lanes
  llvm::Instruction* some = nullptr;
  const std::optional<std::uint32_t> known = known_lanes(mask);
  if (!known) {
    llvm::Value* bits = builder.CreateBitCast(mask, builder.getInt32Ty());
    llvm::SplitBlockAndInsertIfThenElse(builder.CreateICmpEQ(bits, builder.getInt32(~0u)), first,
                                        &all, &some);
    builder.SetInsertPoint(all);
  }
  llvm::Value* base = builder.CreateExtractElement(pointers, std::uint64_t{0});
  auto* piece = llvm::FixedVectorType::get(first->getType()->getScalarType(), kPiece);
  std::vector<llvm::Value*> loaded;
  for (unsigned begin = 0; begin < gathers.size(); begin += kPiece) {
    std::vector<Parts> columns(kPiece);
    constexpr unsigned at_once = 16; // lanes whose pieces fill four of the widest registers
    for (unsigned lane = 0; lane < kLanes; lane += at_once) {
      const std::uint32_t running = (known.value_or(~0u) >> lane) & 0xffff;
      if (running == 0) {
        for (unsigned i = 0; i < kPiece; ++i)
          columns[i].push_back(
              llvm::PoisonValue::get(llvm::FixedVectorType::get(piece->getElementType(), at_once)));
        continue;
      }
      std::vector<llvm::Value*> addresses;
      for (unsigned i = 0; i < at_once; ++i) {
        // Of a lane that does not run another's is loaded again.
        const unsigned whose = (running >> i & 1) != 0 ? i : std::countr_zero(running);
        addresses.push_back(builder.CreateGEP(
            builder.getInt8Ty(), base,
            llvm::ConstantInt::getSigned(builder.getInt64Ty(),
                                         offsets[lane + whose] + std::int64_t{begin} * kElement)));
      }
      const std::vector<llvm::Value*> part = load_columns(
          builder, piece, addresses, llvm::Align(kElement), [](llvm::Instruction* load) {
            load->setMetadata(llvm::LLVMContext::MD_invariant_load,
                              llvm::MDNode::get(load->getContext(), {}));
          });
      for (unsigned i = 0; i < kPiece; ++i)
        columns[i].push_back(part[i]);
    }
    for (Parts& column : columns)
      loaded.push_back(concatenate(builder, std::move(column)));
  }
  if (some) {
    for (unsigned k = 0; k < gathers.size(); ++k) {
      llvm::Instruction* apart = first->clone();
      apart->insertBefore(some->getIterator());
      builder.SetInsertPoint(apart);
      apart->setOperand(0, builder.CreateGEP(builder.getInt8Ty(), pointers,
                                             builder.getInt64(std::uint64_t{k} * kElement)));
      builder.SetInsertPoint(first);
      llvm::PHINode* either = builder.CreatePHI(first->getType(), 2);
      either->addIncoming(loaded[k], all->getParent());
      either->addIncoming(apart, some->getParent());
      loaded[k] = either;
    }
  }
  for (unsigned k = 0; k < gathers.size(); ++k) {
    llvm::Value* instead = gathers[k]->getArgOperand(3);
    if (known && *known != ~0u && !llvm::isa<llvm::PoisonValue>(instead)) {
      builder.SetInsertPoint(gathers[k]);
      loaded[k] = builder.CreateSelect(mask, loaded[k], instead);
    }
    gathers[k]->replaceAllUsesWith(loaded[k]);
  }
  for (llvm::IntrinsicInst* gather : gathers)
    gather->eraseFromParent();
}

} // namespace metalwright::simt
