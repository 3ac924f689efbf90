// Parses the names of cross-lane intrinsics.
#include "simt/convergent_ops.h"

#include <llvm/ADT/StringSwitch.h>
#include <llvm/IR/DerivedTypes.h>
#include <llvm/IR/Function.h>

namespace metalwright::simt {

namespace {

using Kind = ConvergentOp::Kind;

// "f32", "bf16", "s32", "u8", or an empty string for a type that no operation takes.
std::string element_name(const llvm::Type* type, bool is_signed) {
  if (type->isFloatTy())
    return "f32";
  if (type->isHalfTy())
    return "f16";
  if (type->isBFloatTy())
    return "bf16";
  if (!type->isIntegerTy())
    return {};
  switch (type->getIntegerBitWidth()) {
  case 1:
  case 8:
    return is_signed ? "s8" : "u8";
  case 16:
    return is_signed ? "s16" : "u16";
  case 32:
    return is_signed ? "s32" : "u32";
  case 64:
    return is_signed ? "s64" : "u64";
  default:
    return {};
  }
}

unsigned element_bytes(const llvm::Type* type) {
  return std::max(1u, type->getScalarSizeInBits() / 8);
}

// The part of the name before the types: "simd_shuffle_and_fill_up" of
// "simd_shuffle_and_fill_up.u.i32".
struct Name {
  llvm::StringRef family;
  bool is_signed = false;
};

std::optional<Name> parse(llvm::StringRef name) {
  if (!name.consume_front("air."))
    return std::nullopt;
  Name result;
  if (name.starts_with("wg.barrier"))
    result.family = "wg.barrier";
  else if (name.starts_with("simdgroup.barrier"))
    result.family = "simdgroup.barrier";
  else
    result.family = name.split('.').first;
  llvm::StringRef types = name.drop_front(result.family.size());
  result.is_signed = types.starts_with(".s.");
  return result;
}

bool is_reduction(llvm::StringRef operation) {
  return llvm::StringSwitch<bool>(operation)
      .Cases("sum", "product", "min", "max", true)
      .Cases("and", "or", "xor", true)
      .Cases("prefix_inclusive_sum", "prefix_inclusive_product", true)
      .Cases("prefix_exclusive_sum", "prefix_exclusive_product", true)
      .Default(false);
}

// Moves whole elements, whatever they mean; the number of lane operands (index, delta, modulo).
std::optional<unsigned> movement(llvm::StringRef operation) {
  return llvm::StringSwitch<std::optional<unsigned>>(operation)
      .Cases("shuffle", "shuffle_up", "shuffle_down", "shuffle_xor", 1u)
      .Cases("shuffle_rotate_up", "shuffle_rotate_down", "broadcast", 1u)
      .Cases("rotate_up", "rotate_down", 1u)
      .Cases("shuffle_and_fill_up", "shuffle_and_fill_down", 1u)
      .Case("broadcast_first", 0u)
      .Default(std::nullopt);
}

bool is_vote(llvm::StringRef operation) {
  return llvm::StringSwitch<bool>(operation)
      .Cases("any", "all", "ballot", true)
      .Cases("is_first", "active_threads_mask", true)
      .Default(false);
}

unsigned matrix_code(const llvm::Type* type) {
  const llvm::Type* element = type->getScalarType();
  return element->isFloatTy() ? 0 : element->isHalfTy() ? 1 : 2;
}

std::optional<ConvergentOp> matrix_op(const llvm::CallBase& call, llvm::StringRef operation) {
  auto is_matrix = [](const llvm::Type* type) {
    const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
    return vector && vector->getNumElements() == 64 &&
           vector->getElementType()->isFloatingPointTy() &&
           !element_name(vector->getElementType(), false).empty();
  };
  auto is_place = [&](unsigned first) {
    const auto* origin =
        llvm::dyn_cast<llvm::FixedVectorType>(call.getArgOperand(first + 2)->getType());
    return call.getArgOperand(first)->getType()->isPointerTy() &&
           call.getArgOperand(first + 1)->getType()->isIntegerTy(64) && origin &&
           origin->getNumElements() == 2 && origin->getElementType()->isIntegerTy(64) &&
           call.getArgOperand(first + 3)->getType()->isIntegerTy(1);
  };
  ConvergentOp op{};
  const unsigned arguments = call.arg_size();
  if (operation == "load" && arguments == 4 && is_matrix(call.getType()) && is_place(0)) {
    op.kind = Kind::matrix_load;
    return op;
  }
  if (operation == "store" && arguments == 5 && is_matrix(call.getArgOperand(0)->getType()) &&
      is_place(1)) {
    op.kind = Kind::matrix_store;
    return op;
  }
  if ((operation == "init_filled" || operation == "init_diag") && arguments == 1 &&
      is_matrix(call.getType()) &&
      call.getArgOperand(0)->getType() == call.getType()->getScalarType()) {
    op.kind = operation == "init_filled" ? Kind::matrix_fill : Kind::matrix_diagonal;
    return op;
  }
  const bool accumulates = operation == "multiply_accumulate";
  if ((accumulates || operation == "multiply") && arguments == (accumulates ? 3u : 2u) &&
      is_matrix(call.getType())) {
    op.kind = Kind::matrix_multiply;
    op.combine = "matrix_multiply";
    op.count = matrix_code(call.getType()) | (accumulates ? 0x100u : 0u);
    for (unsigned i = 0; i < arguments; ++i) {
      if (!is_matrix(call.getArgOperand(i)->getType()))
        return std::nullopt;
      op.count |= matrix_code(call.getArgOperand(i)->getType()) << (2 * (i + 1));
    }
    return op;
  }
  return std::nullopt;
}

std::optional<ConvergentOp> lane_op(const llvm::CallBase& call, llvm::StringRef group,
                                    llvm::StringRef operation, bool is_signed) {
  ConvergentOp op{};
  op.kind = Kind::collective;
  op.combine = (group + "_" + operation).str();
  const unsigned arguments = call.arg_size();
  if (is_vote(operation)) {
    const unsigned wanted = operation == "is_first" || operation == "active_threads_mask" ? 0 : 1;
    if (arguments != wanted || !call.getType()->isIntegerTy() ||
        call.getType()->getIntegerBitWidth() > 64 ||
        (wanted == 1 && !call.getArgOperand(0)->getType()->isIntegerTy()))
      return std::nullopt;
    return op;
  }
  if (arguments == 0 || call.getArgOperand(0)->getType() != call.getType())
    return std::nullopt;
  const llvm::Type* type = call.getType();
  if (const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type)) {
    op.count = vector->getNumElements();
    if (op.count > 4)
      return std::nullopt;
  } else if (type->isVectorTy()) {
    return std::nullopt;
  }
  const std::string element = element_name(type->getScalarType(), is_signed);
  if (element.empty())
    return std::nullopt;
  if (is_reduction(operation)) {
    const bool bitwise = operation == "and" || operation == "or" || operation == "xor";
    if (arguments != 1 || (bitwise && type->getScalarType()->isFloatingPointTy()))
      return std::nullopt;
    op.combine += "." + element;
    return op;
  }
  if (std::optional<unsigned> lanes = movement(operation)) {
    unsigned expected = 1 + *lanes;
    if (operation.contains("_fill_")) {
      expected = arguments == 3 ? 3 : 4; // the modulo may be left out
      if (arguments < 3 || call.getArgOperand(1)->getType() != type)
        return std::nullopt;
    }
    if (arguments != expected)
      return std::nullopt;
    for (unsigned i = operation.contains("_fill_") ? 2 : 1; i < arguments; ++i)
      if (!call.getArgOperand(i)->getType()->isIntegerTy())
        return std::nullopt;
    op.combine += ".b" + std::to_string(element_bytes(type));
    return op;
  }
  return std::nullopt;
}

} // namespace

bool is_convergent_name(llvm::StringRef name) {
  std::optional<Name> parsed = parse(name);
  if (!parsed)
    return false;
  llvm::StringRef family = parsed->family;
  if (family == "wg.barrier" || family == "simdgroup.barrier" ||
      family.starts_with("simdgroup_matrix_8x8_"))
    return true;
  if (!family.consume_front("simd_") && !family.consume_front("quad_"))
    return false;
  return is_reduction(family) || movement(family) || is_vote(family);
}

std::optional<ConvergentOp> convergent_op(const llvm::CallBase& call) {
  const llvm::Function* callee = call.getCalledFunction();
  std::optional<Name> name = callee ? parse(callee->getName()) : std::nullopt;
  if (!name)
    return std::nullopt;
  llvm::StringRef family = name->family;
  ConvergentOp op{};
  if (family == "wg.barrier" || family == "simdgroup.barrier") {
    op.kind = family == "wg.barrier" ? Kind::threadgroup_barrier : Kind::simdgroup_barrier;
    return op;
  }
  if (family.consume_front("simdgroup_matrix_8x8_"))
    return matrix_op(call, family);
  llvm::StringRef group = family.take_front(4);
  if ((group == "simd" || group == "quad") && family.size() > 5 && family[4] == '_')
    return lane_op(call, group, family.drop_front(5), name->is_signed);
  return std::nullopt;
}

const llvm::Value* lane_that_is_read(const llvm::CallBase& call) {
  const std::optional<ConvergentOp> op = convergent_op(call);
  if (!op || op->kind != ConvergentOp::Kind::collective)
    return nullptr;
  const llvm::StringRef name = llvm::StringRef(op->combine).split('.').first;
  return name == "simd_broadcast" || name == "simd_shuffle" ? call.getArgOperand(1) : nullptr;
}

} // namespace metalwright::simt
