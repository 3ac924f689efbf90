// Linear arithmetic, and divisions by multiples of how many runs there are.
#include "simt/steps.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/IR/DataLayout.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/PatternMatch.h>
#include <llvm/Support/MathExtras.h>

#include <algorithm>

namespace metalwright::simt {

llvm::Value* splatted(llvm::Value* value) {
  auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(value);
  if (!shuffle || !shuffle->isZeroEltSplat())
    return nullptr;
  auto* insert = llvm::dyn_cast<llvm::InsertElementInst>(shuffle->getOperand(0));
  const auto* place = insert ? llvm::dyn_cast<llvm::ConstantInt>(insert->getOperand(2)) : nullptr;
  return place && place->isZero() ? insert->getOperand(1) : nullptr;
}

// The number of a simdgroup or of a round.
static std::optional<std::int64_t> of_counter(const llvm::PHINode& phi) {
  for (const llvm::Value* incoming : phi.incoming_values()) {
    const auto* next = llvm::dyn_cast<llvm::BinaryOperator>(incoming);
    const bool is_next = next && next->getOpcode() == llvm::Instruction::Add &&
                         next->getOperand(0) == &phi &&
                         llvm::isa<llvm::ConstantInt>(next->getOperand(1));
    if (!is_next && !llvm::isa<llvm::ConstantInt>(incoming))
      return std::nullopt;
  }
  return 0;
}

std::optional<std::int64_t> Steps::of(llvm::Value* value) {
  auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
  if (!instruction)
    return 0;
  if (const auto found = known_.find(instruction); found != known_.end())
    return found->second;
  known_[instruction] = std::nullopt; // until it is found; a value that depends on itself
  const std::optional<std::int64_t> step = compute(*instruction);
  known_[instruction] = step;
  return step;
}

std::optional<std::int64_t> Steps::compute(llvm::Instruction& instruction) {
  auto operand = [&](unsigned i) { return of(instruction.getOperand(i)); };
  switch (instruction.getOpcode()) {
  case llvm::Instruction::SExt:
  case llvm::Instruction::ZExt:
    return of_extension(llvm::cast<llvm::CastInst>(instruction));
  case llvm::Instruction::Or:
    if (!llvm::cast<llvm::PossiblyDisjointInst>(instruction).isDisjoint())
      break;
    [[fallthrough]];
  case llvm::Instruction::Add:
    if (const auto left = operand(0), right = operand(1); left && right)
      return *left + *right;
    return std::nullopt;
  case llvm::Instruction::Mul:
  case llvm::Instruction::Shl: {
    const auto* by = llvm::dyn_cast<llvm::ConstantInt>(instruction.getOperand(1));
    const std::optional<std::int64_t> step = operand(0);
    if (!by || !step || by->getValue().getActiveBits() > 16)
      break;
    const std::uint64_t factor = by->getZExtValue();
    if (instruction.getOpcode() == llvm::Instruction::Mul)
      return *step * static_cast<std::int64_t>(factor);
    if (factor < 16)
      return *step * (std::int64_t{1} << factor);
    break;
  }
  case llvm::Instruction::GetElementPtr:
    return of_address(llvm::cast<llvm::GetElementPtrInst>(instruction));
  case llvm::Instruction::ShuffleVector:
    if (llvm::Value* element = splatted(&instruction))
      return of(element);
    break;
  case llvm::Instruction::PHI:
    return of_counter(llvm::cast<llvm::PHINode>(instruction));
  case llvm::Instruction::UDiv:
  case llvm::Instruction::LShr:
  case llvm::Instruction::URem:
  case llvm::Instruction::And:
    if (is_quotient_of_all(instruction))
      return 0;
    if (const auto step = of_remainder(instruction))
      return step;
    break;
  default:
    break;
  }
  const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
  const bool is_invariant =
      load && load->isSimple() && load->hasMetadata(llvm::LLVMContext::MD_invariant_load);
  if ((instruction.mayReadOrWriteMemory() && !is_invariant) ||
      llvm::isa<llvm::AllocaInst>(instruction))
    return std::nullopt;
  for (unsigned i = 0; i < instruction.getNumOperands(); ++i)
    if (operand(i) != 0)
      return std::nullopt;
  return 0;
}

std::optional<std::int64_t> Steps::of_extension(llvm::CastInst& extension) {
  const std::optional<std::int64_t> step = of(extension.getOperand(0));
  if (!step || *step == 0 || are_addresses_ ||
      is_exact(extension.getOperand(0), llvm::isa<llvm::SExtInst>(extension)) ||
      is_index(extension))
    return step;
  return std::nullopt;
}

bool Steps::is_exact(llvm::Value* value, bool is_signed) {
  auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
  if (!instruction || of(instruction) == 0)
    return true;
  // Runs that begin at a multiple of a power of two do not pass another one.
  const std::int64_t aligned = aligned_step(instruction);
  if (aligned > 0 && llvm::isPowerOf2_64(static_cast<std::uint64_t>(aligned) * runs_))
    return true;
  auto are_exact = [&] {
    return llvm::all_of(instruction->operands(),
                        [&](llvm::Value* operand) { return is_exact(operand, is_signed); });
  };
  switch (instruction->getOpcode()) {
  case llvm::Instruction::Add:
  case llvm::Instruction::Mul:
  case llvm::Instruction::Shl:
    return (is_signed ? instruction->hasNoSignedWrap() : instruction->hasNoUnsignedWrap()) &&
           are_exact();
  case llvm::Instruction::Or: // disjoint, or it had no step
    return are_exact();
  case llvm::Instruction::ZExt:
    return true;
  case llvm::Instruction::SExt:
    return is_signed;
  case llvm::Instruction::ShuffleVector:
  case llvm::Instruction::InsertElement:
    return splatted(instruction) && is_exact(splatted(instruction), is_signed);
  case llvm::Instruction::URem:
  case llvm::Instruction::And:
    return !is_signed; // of_remainder()
  default:
    return false;
  }
}

bool Steps::is_index(llvm::Value& value, unsigned depth) {
  return depth < 8 && llvm::all_of(
                          value.uses(),
                          [&](const llvm::Use& use) {
                            auto* user = llvm::cast<llvm::Instruction>(use.getUser());
                            switch (user->getOpcode()) {
                            case llvm::Instruction::Load:
                              return true;
                            case llvm::Instruction::Store:
                              return use.getOperandNo() == 1;
                            case llvm::Instruction::Add:
                            case llvm::Instruction::Mul:
                            case llvm::Instruction::Shl:
                            case llvm::Instruction::Or:
                            case llvm::Instruction::ShuffleVector:
                            case llvm::Instruction::InsertElement:
                            case llvm::Instruction::GetElementPtr:
                              return is_index(*user, depth + 1);
                            default:
                              break;
                            }
                            const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(user);
                            if (!call)
                              return false;
                            switch (call->getIntrinsicID()) {
                            case llvm::Intrinsic::masked_load:
                            case llvm::Intrinsic::masked_gather:
                              return use.getOperandNo() == 0 && of(call->getArgOperand(2)) == 0;
                            case llvm::Intrinsic::masked_store:
                            case llvm::Intrinsic::masked_scatter:
                              return use.getOperandNo() == 1 && of(call->getArgOperand(3)) == 0;
                            default:
                              return false;
                            }
                          });
}

std::int64_t Steps::aligned_step(llvm::Value* value) {
  auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
  if (!instruction)
    return 0;
  const llvm::APInt* factor = nullptr;
  using namespace llvm::PatternMatch;
  if (match(instruction, m_ZExtOrSExt(m_Value())))
    return aligned_step(instruction->getOperand(0));
  if (match(instruction, m_Mul(m_Value(), m_APInt(factor))) && factor->getActiveBits() < 16 &&
      (factor->isPowerOf2() || instruction->hasNoUnsignedWrap()))
    return aligned_step(instruction->getOperand(0)) *
           static_cast<std::int64_t>(factor->getZExtValue());
  if (match(instruction, m_Shl(m_Value(), m_APInt(factor))) && factor->ult(16))
    return aligned_step(instruction->getOperand(0)) << factor->getZExtValue();
  const auto found = known_.find(instruction);
  return llvm::isa<llvm::LoadInst>(instruction) && found != known_.end() ? found->second.value_or(0)
                                                                         : 0;
}

bool Steps::holds_all(const llvm::APInt& size, std::int64_t step) const {
  return step > 0 && size.getActiveBits() < 63 && !size.isZero() &&
         size.getZExtValue() % (static_cast<std::uint64_t>(step) * runs_) == 0;
}

bool Steps::is_quotient_of_all(llvm::Instruction& instruction) {
  using namespace llvm::PatternMatch;
  const llvm::APInt* by = nullptr;
  if (match(&instruction, m_UDiv(m_Value(), m_APInt(by))))
    return holds_all(*by, aligned_step(instruction.getOperand(0)));
  unsigned bits = 0;
  if (match(&instruction, m_LShr(m_Value(), m_APInt(by))) && by->ult(31))
    bits = static_cast<unsigned>(by->getZExtValue());
  else if (match(&instruction, m_And(m_Value(), m_APInt(by))) && !by->isZero())
    bits = std::min(by->countr_zero(), 62u); // what is below them is cut off
  return bits != 0 && holds_all(llvm::APInt(64, std::uint64_t{1} << bits),
                                aligned_step(instruction.getOperand(0)));
}

std::optional<std::int64_t> Steps::of_remainder(llvm::Instruction& instruction) {
  using namespace llvm::PatternMatch;
  const llvm::APInt* by = nullptr;
  const bool is_mask = match(&instruction, m_And(m_Value(), m_APInt(by))) && by->isMask();
  if (!is_mask && !match(&instruction, m_URem(m_Value(), m_APInt(by))))
    return std::nullopt;
  const std::int64_t step = aligned_step(instruction.getOperand(0));
  if (!holds_all(is_mask ? by->zext(by->getBitWidth() + 1) + 1 : *by, step))
    return std::nullopt;
  return step;
}

std::optional<std::int64_t> Steps::of_address(llvm::GetElementPtrInst& address) {
  const std::optional<std::int64_t> base = of(address.getPointerOperand());
  if (!base)
    return std::nullopt;
  if (address.getNumIndices() != 1) {
    for (llvm::Value* index : address.indices())
      if (of(index) != 0)
        return std::nullopt;
    return base;
  }
  const std::optional<std::int64_t> index = of(address.getOperand(1));
  const llvm::TypeSize size =
      address.getDataLayout().getTypeAllocSize(address.getSourceElementType());
  if (!index)
    return std::nullopt;
  return *base + *index * static_cast<std::int64_t>(size.getFixedValue());
}

} // namespace metalwright::simt
