// The sources of what differs between lanes; patterns by one walk that is repeated for loops.
#include "simt/lane_analysis.h"

#include "simt/convergent_ops.h"
#include "simt/lane_function.h"

#include <llvm/Analysis/TargetTransformInfoImpl.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Operator.h>
#include <llvm/Support/MathExtras.h>

#include <algorithm>

namespace metalwright::simt {

namespace {

bool holds_matrices(llvm::Type* type) {
  while (type->isAggregateType()) {
    if (type->isStructTy() && type->getStructNumElements() != 1)
      return false;
    type = type->isArrayTy() ? type->getArrayElementType() : type->getStructElementType(0);
  }
  return LaneAnalysis::is_matrix(type);
}

// What LLVM's uniformity analysis asks a target.
class LaneTarget : public llvm::TargetTransformInfoImplCRTPBase<LaneTarget> {
  using Base = llvm::TargetTransformInfoImplCRTPBase<LaneTarget>;

 public:
  explicit LaneTarget(const llvm::DataLayout& layout) : Base(layout) {}

  bool hasBranchDivergence(const llvm::Function* = nullptr) const { return true; }

  bool isAlwaysUniform(const llvm::Value* value) const {
    if (LaneAnalysis::is_matrix(value->getType()))
      return true;
    const auto* call = llvm::dyn_cast<llvm::CallBase>(value);
    const std::optional<ConvergentOp> op = call ? convergent_op(*call) : std::nullopt;
    if (!op || op->kind != ConvergentOp::Kind::collective)
      return false;
    llvm::StringRef name = op->combine;
    if (!name.consume_front("simd_"))
      return false;
    name = name.split('.').first;
    // Unless the number of the lane differs, which Uniformity finds.
    return lane_that_is_read(*call) || name == "sum" || name == "product" || name == "min" ||
           name == "max" || name == "and" || name == "or" || name == "xor" || name == "any" ||
           name == "all" || name == "ballot" || name == "active_threads_mask" ||
           name == "broadcast_first";
  }

  bool isSourceOfDivergence(const llvm::Value* value) const {
    if (isAlwaysUniform(value))
      return false;
    if (const auto* variable = llvm::dyn_cast<llvm::AllocaInst>(value))
      return !holds_matrices(variable->getAllocatedType());
    if (llvm::isa<llvm::AtomicRMWInst>(value) || llvm::isa<llvm::AtomicCmpXchgInst>(value))
      return true;
    if (const auto* extract = llvm::dyn_cast<llvm::ExtractElementInst>(value))
      return LaneAnalysis::is_matrix(extract->getVectorOperandType());
    if (const auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(value))
      return LaneAnalysis::is_matrix(shuffle->getOperand(0)->getType());
    const auto* call = llvm::dyn_cast<llvm::CallBase>(value);
    if (!call || !call->getCalledFunction())
      return false;
    return call->getCalledFunction()->getName() == kLaneFunction || convergent_op(*call);
  }
};

std::int64_t wrap(std::int64_t value, unsigned bits) {
  return bits >= 64 ? value : llvm::SignExtend64(static_cast<std::uint64_t>(value), bits);
}

Pattern restrict_to(const Pattern& pattern, unsigned group) {
  Pattern result = pattern;
  if (group >= pattern.group)
    return result;
  result.group = group;
  for (unsigned i = 0; i < 32; ++i)
    result.offset[i] = pattern.offset[i] - pattern.offset[i / group * group];
  result.first = llvm::KnownBits();
  return result;
}

} // namespace

bool Pattern::is_constant() const {
  return group != 0 && llvm::all_of(offset, [](std::int64_t o) { return o == 0; });
}

bool LaneAnalysis::is_matrix(const llvm::Type* type) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  return vector && vector->getNumElements() == 64;
}

class LaneAnalysis::Patterns {
 public:
  Patterns(LaneAnalysis& analysis, const llvm::DataLayout& layout)
      : analysis_(analysis), layout_(layout) {}

  void run() {
    // Phis of loops are taken to follow their first incoming value until another one disagrees.
    for (unsigned round = 0; round < 16; ++round) {
      bool changed = false;
      for (llvm::BasicBlock* block : analysis_.schedule().blocks())
        for (llvm::Instruction& instruction : *block)
          changed |= visit(instruction);
      if (!changed)
        return;
    }
    // Not settled: claims that hang on loops are taken back.
    analysis_.patterns_.clear();
    no_phis_ = true;
    for (llvm::BasicBlock* block : analysis_.schedule().blocks())
      for (llvm::Instruction& instruction : *block)
        visit(instruction);
  }

 private:
  bool visit(llvm::Instruction& instruction) {
    if (!has_pattern(*instruction.getType()) || !analysis_.is_varying(&instruction))
      return false;
    std::optional<Pattern> found = compute(instruction);
    if (!found)
      return false; // nothing is known yet of what it depends on
    auto [place, is_new] = analysis_.patterns_.try_emplace(&instruction, *found);
    if (is_new)
      return true;
    const bool same = place->second.same_offsets(*found) &&
                      place->second.first.Zero == found->first.Zero &&
                      place->second.first.One == found->first.One;
    place->second = *found;
    return !same;
  }

  static bool has_pattern(const llvm::Type& type) {
    return (type.isIntegerTy() && !type.isIntegerTy(1)) || type.isPointerTy();
  }

  // Null: not known yet.
  const Pattern* of(const llvm::Value* value) {
    if (!analysis_.is_varying(value))
      return &analysis_.pattern(value);
    static const Pattern none;
    if (!has_pattern(*value->getType()))
      return &none;
    const auto found = analysis_.patterns_.find(value);
    return found == analysis_.patterns_.end() ? nullptr : &found->second;
  }

  unsigned width(const llvm::Value* value) const {
    return value->getType()->isPointerTy() ? 64 : value->getType()->getIntegerBitWidth();
  }

  std::optional<Pattern> compute(llvm::Instruction& instruction) {
    const unsigned bits = width(&instruction);
    Pattern none;
    if (bits > 64)
      return none;
    if (auto* phi = llvm::dyn_cast<llvm::PHINode>(&instruction))
      return compute_phi(*phi);
    if (auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction)) {
      if (call->getCalledFunction() && call->getCalledFunction()->getName() == kLaneFunction) {
        Pattern result;
        result.group = 32;
        for (int i = 0; i < 32; ++i)
          result.offset[static_cast<unsigned>(i)] = i;
        result.first = llvm::KnownBits::makeConstant(llvm::APInt(bits, 0));
        return result;
      }
      return none;
    }
    if (auto* variable = llvm::dyn_cast<llvm::AllocaInst>(&instruction)) {
      Pattern result;
      result.group = 32;
      const std::uint64_t stride = private_stride(*variable, layout_);
      for (unsigned i = 0; i < 32; ++i)
        result.offset[i] = static_cast<std::int64_t>(i * stride);
      result.first = llvm::KnownBits(64);
      return result;
    }
    if (!llvm::isa<llvm::BinaryOperator, llvm::CastInst, llvm::GetElementPtrInst, llvm::FreezeInst>(
            instruction))
      return none;
    llvm::SmallVector<Pattern, 4> operands;
    for (const llvm::Use& operand : instruction.operands()) {
      llvm::Type* type = operand->getType();
      if (!type->isIntegerTy() && !type->isPointerTy())
        return none;
      if (type->isIntegerTy() && type->getIntegerBitWidth() > 64)
        return none;
      const Pattern* pattern = of(operand);
      if (!pattern)
        return std::nullopt;
      if (pattern->group == 0)
        return none;
      operands.push_back(*pattern);
    }
    bool assumed = false;
    unsigned group = 32;
    for (const Pattern& operand : operands) {
      assumed |= operand.assumed;
      group = std::min(group, operand.group);
    }
    for (; group >= 8; group /= 2) {
      llvm::SmallVector<Pattern, 4> restricted;
      for (const Pattern& operand : operands)
        restricted.push_back(restrict_to(operand, group));
      Pattern result;
      result.group = group;
      result.assumed = assumed;
      if (group == 32 && !assumed)
        result.first = llvm::KnownBits(bits);
      if (!combine(instruction, restricted, result))
        continue;
      for (std::int64_t& offset : result.offset)
        offset = wrap(offset, bits);
      return result;
    }
    return none;
  }

  std::optional<Pattern> compute_phi(llvm::PHINode& phi) {
    Pattern none;
    if (no_phis_ || analysis_.schedule().has_joins(phi.getParent()))
      return none;
    std::optional<Pattern> result;
    for (unsigned i = 0; i < phi.getNumIncomingValues(); ++i) {
      const Pattern* incoming = of(phi.getIncomingValue(i));
      if (!incoming)
        continue;
      if (incoming->group == 0)
        return none;
      if (!result) {
        result = *incoming;
      } else {
        if (!result->same_offsets(*incoming))
          return none;
        if (result->is_exact())
          result->first = result->first.intersectWith(incoming->first);
      }
    }
    const auto before = analysis_.patterns_.find(&phi);
    if (before == analysis_.patterns_.end() || !result)
      return result && result->assumed ? none : result;
    // What has been given up stays so. Of a value that a loop changes only the low bits are kept:
    // others would be given up one by one, a round each.
    if (before->second.group == 0)
      return none;
    if (result->is_exact() && before->second.is_exact() &&
        (result->first.Zero != before->second.first.Zero ||
         result->first.One != before->second.first.One)) {
      llvm::KnownBits& first = result->first;
      first = first.intersectWith(before->second.first);
      const unsigned low = (first.Zero | first.One).countr_one();
      first.Zero.clearHighBits(first.getBitWidth() - low);
      first.One.clearHighBits(first.getBitWidth() - low);
    }
    if (result && result->assumed)
      return none; // no scalar to carry round
    return result;
  }

  bool combine(llvm::Instruction& instruction, llvm::ArrayRef<Pattern> operands, Pattern& result) {
    const bool constant =
        llvm::all_of(operands, [](const Pattern& operand) { return operand.is_constant(); });
    const bool known = result.group == 32 && !result.assumed;
    const unsigned opcode = instruction.getOpcode();
    auto each = [&](auto&& offset) {
      for (unsigned i = 0; i < 32; ++i)
        result.offset[i] = offset(i);
    };
    switch (opcode) {
    case llvm::Instruction::Add:
      each([&](unsigned i) { return operands[0].offset[i] + operands[1].offset[i]; });
      if (known)
        result.first = llvm::KnownBits::computeForAddSub(true, false, false, operands[0].first,
                                                         operands[1].first);
      return true;
    case llvm::Instruction::Sub:
      each([&](unsigned i) { return operands[0].offset[i] - operands[1].offset[i]; });
      if (known)
        result.first = llvm::KnownBits::computeForAddSub(false, false, false, operands[0].first,
                                                         operands[1].first);
      return true;
    case llvm::Instruction::Or:
      if (!llvm::cast<llvm::PossiblyDisjointInst>(instruction).isDisjoint())
        break;
      each([&](unsigned i) { return operands[0].offset[i] + operands[1].offset[i]; });
      if (known)
        result.first = llvm::KnownBits::computeForAddSub(true, false, false, operands[0].first,
                                                         operands[1].first);
      return true;
    case llvm::Instruction::Mul:
      for (unsigned side = 0; side < 2; ++side)
        if (const auto* factor = llvm::dyn_cast<llvm::ConstantInt>(instruction.getOperand(side))) {
          each([&](unsigned i) {
            return static_cast<std::int64_t>(
                static_cast<std::uint64_t>(operands[1 - side].offset[i]) *
                static_cast<std::uint64_t>(factor->getSExtValue()));
          });
          if (known)
            result.first = llvm::KnownBits::mul(operands[0].first, operands[1].first);
          return true;
        }
      break;
    case llvm::Instruction::Shl:
      if (const auto* amount = llvm::dyn_cast<llvm::ConstantInt>(instruction.getOperand(1));
          amount && amount->getValue().ult(64)) {
        each([&](unsigned i) {
          return static_cast<std::int64_t>(static_cast<std::uint64_t>(operands[0].offset[i])
                                           << amount->getZExtValue());
        });
        if (known)
          result.first = llvm::KnownBits::shl(operands[0].first, operands[1].first);
        return true;
      }
      break;
    case llvm::Instruction::LShr:
    case llvm::Instruction::And:
    case llvm::Instruction::UDiv:
    case llvm::Instruction::URem:
      if (known && split(instruction, operands, result))
        return true;
      break;
    case llvm::Instruction::Trunc:
    case llvm::Instruction::Freeze:
    case llvm::Instruction::PtrToInt:
    case llvm::Instruction::IntToPtr:
    case llvm::Instruction::BitCast:
      if (instruction.getOperand(0)->getType()->isIntegerTy(1))
        break;
      if (opcode == llvm::Instruction::IntToPtr && width(instruction.getOperand(0)) != 64)
        break;
      each([&](unsigned i) { return operands[0].offset[i]; });
      if (known)
        result.first = operands[0].first.getBitWidth() > width(&instruction)
                           ? operands[0].first.trunc(width(&instruction))
                           : operands[0].first;
      return true;
    case llvm::Instruction::ZExt:
    case llvm::Instruction::SExt:
      return widen(instruction, operands[0], opcode == llvm::Instruction::SExt, known, result);
    case llvm::Instruction::GetElementPtr:
      return address(llvm::cast<llvm::GEPOperator>(instruction), operands, result);
    default:
      break;
    }
    // Whatever it does, it does the same to equal operands.
    if (!constant || result.assumed)
      return false;
    result.offset.fill(0);
    return true;
  }

  // Quotients, remainders and bit fields, where the low part of lane 0's value is known.
  bool split(llvm::Instruction& instruction, llvm::ArrayRef<Pattern> operands, Pattern& result) {
    const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(instruction.getOperand(1));
    if (!constant || !operands[1].is_constant())
      return false;
    const llvm::APInt number = constant->getValue();
    const unsigned bits = number.getBitWidth();
    const Pattern& value = operands[0];
    const auto [low, high] = std::minmax_element(value.offset.begin(), value.offset.end());
    // No lane wraps.
    const std::uint64_t smallest = value.first.getMinValue().getZExtValue();
    const std::uint64_t largest = value.first.getMaxValue().getZExtValue();
    const std::uint64_t limit = llvm::APInt::getMaxValue(bits).getZExtValue();
    const bool in_range = (*low >= 0 || smallest >= static_cast<std::uint64_t>(-*low)) &&
                          (*high <= 0 || limit - largest >= static_cast<std::uint64_t>(*high));
    const unsigned opcode = instruction.getOpcode();
    if (value.first.isConstant()) {
      const llvm::APInt first = value.first.getConstant();
      auto apply = [&](std::int64_t offset) {
        const llvm::APInt x = first + llvm::APInt(bits, static_cast<std::uint64_t>(offset), true);
        switch (opcode) {
        case llvm::Instruction::LShr:
          return x.lshr(number);
        case llvm::Instruction::And:
          return x & number;
        case llvm::Instruction::UDiv:
          return number.isZero() ? x : x.udiv(number);
        default:
          return number.isZero() ? x : x.urem(number);
        }
      };
      const llvm::APInt base = apply(0);
      for (unsigned i = 0; i < 32; ++i)
        result.offset[i] = (apply(value.offset[i]) - base).getSExtValue();
      result.first = llvm::KnownBits::makeConstant(base);
      return true;
    }
    // How many low bits of lane 0's value are known.
    const unsigned known_low = (value.first.Zero | value.first.One).countr_one();
    unsigned field = 0; // the operation parts the value at this bit
    bool keeps_low = false;
    if (opcode == llvm::Instruction::LShr) {
      if (number.uge(bits) || !in_range)
        return false;
      field = static_cast<unsigned>(number.getZExtValue());
    } else if (opcode == llvm::Instruction::And) {
      if (number.isMask()) {
        field = number.countr_one();
        keeps_low = true;
      } else if ((~number).isMask()) {
        field = (~number).countr_one();
      } else {
        return false;
      }
    } else {
      if (!number.isPowerOf2() || !in_range)
        return false;
      field = number.logBase2();
      keeps_low = opcode == llvm::Instruction::URem;
    }
    if (field > known_low || field >= 63)
      return false;
    const std::uint64_t mask = (std::uint64_t{1} << field) - 1;
    const std::uint64_t first_low =
        field == 0 ? 0 : value.first.One.extractBitsAsZExtValue(field, 0);
    for (unsigned i = 0; i < 32; ++i) {
      const std::int64_t sum = static_cast<std::int64_t>(first_low) + value.offset[i];
      const auto low_part = static_cast<std::int64_t>(static_cast<std::uint64_t>(sum) & mask);
      if (keeps_low)
        result.offset[i] = low_part - static_cast<std::int64_t>(first_low);
      else if (opcode == llvm::Instruction::And)
        result.offset[i] = value.offset[i] - (low_part - static_cast<std::int64_t>(first_low));
      else
        result.offset[i] = (sum - low_part) >> field;
    }
    if (keeps_low)
      result.first = llvm::KnownBits::makeConstant(llvm::APInt(bits, first_low));
    else if (opcode == llvm::Instruction::And)
      result.first = value.first & operands[1].first;
    else
      result.first = llvm::KnownBits::lshr(value.first,
                                           llvm::KnownBits::makeConstant(llvm::APInt(bits, field)));
    return true;
  }

  bool widen(llvm::Instruction& instruction, const Pattern& value, bool is_signed, bool known,
             Pattern& result) {
    const unsigned from = width(instruction.getOperand(0));
    result.offset = value.offset;
    if (value.is_constant() && !value.assumed) {
      if (known)
        result.first = is_signed ? value.first.sext(width(&instruction))
                                 : value.first.zext(width(&instruction));
      return true;
    }
    const auto [low, high] = std::minmax_element(value.offset.begin(), value.offset.end());
    if (known) {
      const llvm::APInt least = is_signed ? value.first.getSignedMinValue().sext(128)
                                          : value.first.getMinValue().zext(128);
      const llvm::APInt most = is_signed ? value.first.getSignedMaxValue().sext(128)
                                         : value.first.getMaxValue().zext(128);
      const llvm::APInt bottom =
          is_signed ? llvm::APInt::getSignedMinValue(from).sext(128) : llvm::APInt(128, 0);
      const llvm::APInt top = is_signed ? llvm::APInt::getSignedMaxValue(from).sext(128)
                                        : llvm::APInt::getMaxValue(from).zext(128);
      auto wide = [](std::int64_t v) {
        return llvm::APInt(128, static_cast<std::uint64_t>(v), true);
      };
      // A lane's value is lane 0's plus the offset only if that does not leave the type's range.
      // The bits of `or` with the lane number say so where the sum's bounds do not.
      const unsigned zeros = value.first.countMinTrailingZeros();
      const bool fits_in_low_bits =
          *low >= 0 && zeros < 63 && *high < (std::int64_t{1} << zeros) && zeros < from;
      if (fits_in_low_bits || ((least + wide(*low)).sge(bottom) && (most + wide(*high)).sle(top))) {
        result.first = is_signed ? value.first.sext(width(&instruction))
                                 : value.first.zext(width(&instruction));
        return true;
      }
    }
    if (from != 32 || !analysis_.assumes_)
      return false;
    result.assumed = true;
    result.first = llvm::KnownBits();
    return true;
  }

  bool address(const llvm::GEPOperator& gep, llvm::ArrayRef<Pattern> operands, Pattern& result) {
    result.offset = operands[0].offset;
    unsigned operand = 1;
    for (auto type = llvm::gep_type_begin(gep); type != llvm::gep_type_end(gep);
         ++type, ++operand) {
      if (type.isStruct())
        continue;
      const Pattern& index = operands[operand];
      if (index.is_constant() && !index.assumed)
        continue;
      const unsigned bits = width(gep.getOperand(operand));
      if (bits < 32 || (bits == 32 && !analysis_.assumes_))
        return false;
      if (bits == 32)
        result.assumed = true;
      const auto stride = static_cast<std::uint64_t>(type.getSequentialElementStride(layout_));
      for (unsigned i = 0; i < 32; ++i)
        result.offset[i] +=
            static_cast<std::int64_t>(static_cast<std::uint64_t>(index.offset[i]) * stride);
    }
    if (result.group == 32 && !result.assumed)
      result.first = llvm::KnownBits(64);
    else
      result.first = llvm::KnownBits();
    return true;
  }

  LaneAnalysis& analysis_;
  const llvm::DataLayout& layout_;
  bool no_phis_ = false;
};

LaneAnalysis::LaneAnalysis(llvm::Function& function, const llvm::DominatorTree& dominators,
                           const llvm::LoopInfo& loops, bool large_buffers)
    : uniformity_(function, dominators, loops, UniformityTarget<LaneTarget>::make),
      layout_(function.getParent()->getDataLayout()), assumes_(!large_buffers) {
  Patterns(*this, layout_).run();
}

const Pattern& LaneAnalysis::pattern(const llvm::Value* value) const {
  if (const auto found = patterns_.find(value); found != patterns_.end())
    return found->second;
  static const Pattern none;
  llvm::Type* type = value->getType();
  if (is_varying(value) || (!type->isIntegerTy() && !type->isPointerTy()) ||
      (type->isIntegerTy() && type->getIntegerBitWidth() > 64))
    return none;
  const auto [place, is_new] = uniform_patterns_.try_emplace(value);
  if (is_new) {
    place->second.group = 32;
    place->second.first =
        type->isPointerTy() ? llvm::KnownBits(64) : llvm::computeKnownBits(value, layout_);
  }
  return place->second;
}

std::uint64_t private_stride(const llvm::AllocaInst& variable, const llvm::DataLayout& layout) {
  return llvm::alignTo(layout.getTypeAllocSize(variable.getAllocatedType()),
                       std::max<std::uint64_t>(variable.getAlign().value(), 4));
}

} // namespace metalwright::simt
