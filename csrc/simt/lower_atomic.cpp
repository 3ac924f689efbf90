// Atomics: air.atomic.<global|local>.<operation>[.s|.u].<type> and air.atomic.fence.
#include "simt/lowering.h"

#include <llvm/IR/Module.h>

#include <optional>

namespace metalwright::simt {

using llvm::AtomicOrdering;
using llvm::AtomicRMWInst;
using llvm::StringRef;
using llvm::Type;
using llvm::Value;

namespace {

// AIR's memory orders follow C's: 0 relaxed, 5 sequentially consistent. What is not relaxed is
// taken as the strongest that the operation allows.
AtomicOrdering ordering(Value* order) {
  auto* constant = llvm::dyn_cast<llvm::ConstantInt>(order);
  return constant != nullptr && constant->isZero() ? AtomicOrdering::Monotonic
                                                   : AtomicOrdering::SequentiallyConsistent;
}

std::optional<AtomicRMWInst::BinOp> read_modify_write(StringRef name, bool is_float,
                                                      bool is_signed) {
  if (name == "xchg" || name == "exchange") {
    return AtomicRMWInst::Xchg;
  }
  if (is_float) {
    return llvm::StringSwitch<std::optional<AtomicRMWInst::BinOp>>(name)
        .Case("add", AtomicRMWInst::FAdd)
        .Case("sub", AtomicRMWInst::FSub)
        .Case("min", AtomicRMWInst::FMin)
        .Case("max", AtomicRMWInst::FMax)
        .Default(std::nullopt);
  }
  return llvm::StringSwitch<std::optional<AtomicRMWInst::BinOp>>(name)
      .Case("add", AtomicRMWInst::Add)
      .Case("sub", AtomicRMWInst::Sub)
      .Case("and", AtomicRMWInst::And)
      .Case("or", AtomicRMWInst::Or)
      .Case("xor", AtomicRMWInst::Xor)
      .Case("min", is_signed ? AtomicRMWInst::Min : AtomicRMWInst::UMin)
      .Case("max", is_signed ? AtomicRMWInst::Max : AtomicRMWInst::UMax)
      .Default(std::nullopt);
}

bool is_atomic_type(Type* type) {
  return type->isIntegerTy(32) || type->isIntegerTy(64) || type->isFloatTy() ||
         type->isIntegerTy(8) || type->isIntegerTy(16);
}

llvm::Align natural(const Lowering& l, Type* type) {
  return llvm::Align(l.call.getModule()->getDataLayout().getTypeStoreSize(type));
}

// (pointer, pointer to expected, desired, orders, ...) -> the old value, which is also stored to
// `expected`.
Value* compare_exchange(Lowering& l) {
  if (l.argument_count() < 5 || !l.argument(1)->getType()->isPointerTy()) {
    return nullptr;
  }
  auto& b = l.builder;
  Type* type = l.argument(2)->getType();
  if (!is_atomic_type(type) || !(l.type() == type || l.type()->isVoidTy())) {
    return nullptr;
  }
  Type* bits = b.getIntNTy(type->getScalarSizeInBits());
  Value* expected = b.CreateLoad(bits, l.argument(1));
  const AtomicOrdering success = ordering(l.argument(3));
  // Strong, though Metal has only the weak form: it may not fail without reason.
  Value* pair = b.CreateAtomicCmpXchg(
      l.argument(0), expected, b.CreateBitCast(l.argument(2), bits), natural(l, bits), success,
      llvm::AtomicCmpXchgInst::getStrongestFailureOrdering(success));
  Value* old = b.CreateExtractValue(pair, 0);
  b.CreateStore(old, l.argument(1));
  return b.CreateBitCast(old, type);
}

} // namespace

Value* lower_atomic(Lowering& l) {
  if (l.suffix.size() < 2 || !l.argument(0)->getType()->isPointerTy()) {
    return nullptr;
  }
  auto& b = l.builder;
  const StringRef operation = l.suffix[0];
  if (operation == "load") {
    if (!is_atomic_type(l.type())) {
      return nullptr;
    }
    llvm::LoadInst* load = b.CreateAlignedLoad(l.type(), l.argument(0), natural(l, l.type()));
    load->setAtomic(ordering(l.argument(1)));
    return load;
  }
  if (operation == "cmpxchg") {
    return compare_exchange(l);
  }
  if (l.argument_count() < 4) {
    return nullptr;
  }
  Value* operand = l.argument(1);
  Type* type = operand->getType();
  if (!is_atomic_type(type)) {
    return nullptr;
  }
  if (operation == "store") {
    llvm::StoreInst* store = b.CreateAlignedStore(operand, l.argument(0), natural(l, type));
    store->setAtomic(ordering(l.argument(2)));
    return store;
  }
  const auto binary = read_modify_write(operation, type->isFloatTy(), l.suffix[1] == "s");
  if (!binary || !(l.type() == type || l.type()->isVoidTy())) {
    return nullptr;
  }
  return b.CreateAtomicRMW(*binary, l.argument(0), operand, natural(l, type),
                           ordering(l.argument(2)));
}

// (flags, order, scope): a relaxed fence orders nothing.
Value* lower_atomic_fence(Lowering& l) {
  if (!l.type()->isVoidTy()) {
    return nullptr;
  }
  if (ordering(l.argument(1)) == AtomicOrdering::Monotonic) {
    return llvm::PoisonValue::get(l.builder.getInt1Ty()); // no instruction; the result is not used
  }
  return l.builder.CreateFence(AtomicOrdering::SequentiallyConsistent);
}

} // namespace metalwright::simt
