// Looks at the kernel for buffers that qualify, and rewrites stores in final code.
#include "simt/stream_stores.h"

#include "simt/launch.h"

#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>

#include <bit>
#include <vector>

namespace metalwright::simt {

namespace {

constexpr unsigned kLine = 64;
// Less than half a line at a time is not worth a test, and others may come between the parts.
constexpr unsigned kLeast = 32;
// Instructions for each line stored above which a block does not wait for memory: GELU, which is
// more, took 1.03 to 1.09 times as long with results of 32 and 64 MiB, squares 0.7 times.
constexpr std::uint64_t kMostPerLine = 48;
constexpr unsigned kLookedThrough = 12; // steps from an address to its object

bool orders_stores(const llvm::Instruction& instruction) {
  if (instruction.isAtomic())
    return true;
  const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
  const llvm::Function* callee = call ? call->getCalledFunction() : nullptr;
  return callee && (callee->getName().contains("atomic") || callee->getName().contains("fence"));
}

bool is_only_stored(const llvm::Value& buffer) {
  llvm::SmallPtrSet<const llvm::Value*, 16> seen;
  llvm::SmallVector<const llvm::Value*, 16> pointers{&buffer};
  bool is_stored = false;
  while (!pointers.empty()) {
    const llvm::Value* pointer = pointers.pop_back_val();
    if (!seen.insert(pointer).second)
      continue;
    for (const llvm::User* user : pointer->users()) {
      if (llvm::isa<llvm::GetElementPtrInst, llvm::PHINode, llvm::SelectInst>(user)) {
        pointers.push_back(user);
        continue;
      }
      const auto* store = llvm::dyn_cast<llvm::StoreInst>(user);
      if (!store || store->getValueOperand() == pointer || !store->isSimple())
        return false;
      is_stored = true;
    }
  }
  return is_stored;
}

// A store of a vector, masked or not.
struct VectorStore {
  llvm::Instruction* instruction;
  llvm::Value* value;
  llvm::Value* pointer;
  llvm::Value* mask; // null: all
};

std::optional<VectorStore> as_vector_store(llvm::Instruction& instruction) {
  if (auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction)) {
    if (!store->isSimple())
      return std::nullopt;
    return VectorStore{store, store->getValueOperand(), store->getPointerOperand(), nullptr};
  }
  auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
  if (!call || call->getIntrinsicID() != llvm::Intrinsic::masked_store)
    return std::nullopt;
  return VectorStore{call, call->getArgOperand(0), call->getArgOperand(1), call->getArgOperand(3)};
}

// About how many instructions of the machine a block is.
std::uint64_t registers_computed(const llvm::BasicBlock& block, const llvm::DataLayout& layout) {
  std::uint64_t count = 0;
  for (const llvm::Instruction& instruction : block)
    count += instruction.getType()->isVectorTy()
                 ? std::max<std::uint64_t>(
                       1, layout.getTypeStoreSize(instruction.getType()).getFixedValue() / kLine)
                 : 1;
  return count;
}

void stream(const VectorStore& store, std::uint64_t size) {
  const std::uint64_t alignment = std::min<std::uint64_t>(size, kLine);
  llvm::IRBuilder<> builder(store.instruction);
  llvm::Value* address = builder.CreatePtrToInt(store.pointer, builder.getInt64Ty());
  llvm::Value* suits =
      builder.CreateICmpEQ(builder.CreateAnd(address, alignment - 1), builder.getInt64(0));
  if (store.mask) {
    const unsigned lanes =
        llvm::cast<llvm::FixedVectorType>(store.mask->getType())->getNumElements();
    llvm::Type* bits = builder.getIntNTy(lanes);
    suits = builder.CreateAnd(suits, builder.CreateICmpEQ(builder.CreateBitCast(store.mask, bits),
                                                          llvm::Constant::getAllOnesValue(bits)));
  }
  llvm::Instruction* past = nullptr;
  llvm::Instruction* through = nullptr;
  llvm::SplitBlockAndInsertIfThenElse(suits, store.instruction->getIterator(), &past, &through);
  store.instruction->moveBefore(through);
  builder.SetInsertPoint(past);
  llvm::StoreInst* streaming =
      builder.CreateAlignedStore(store.value, store.pointer, llvm::Align(alignment));
  streaming->setMetadata(
      llvm::LLVMContext::MD_nontemporal,
      llvm::MDNode::get(builder.getContext(), llvm::ConstantAsMetadata::get(builder.getInt32(1))));
}

} // namespace

SlotSet buffers_only_stored(const air::EntryPoint& entry) {
  for (const llvm::Instruction& instruction : llvm::instructions(*entry.function))
    if (orders_stores(instruction))
      return 0;
  SlotSet slots = 0;
  unsigned slot = 0;
  for (std::size_t i = 0; i < entry.arguments.size(); ++i) {
    const Argument& argument = entry.arguments[i];
    if (!argument.is_active)
      continue;
    if (argument.kind == ArgumentKind::buffer && argument.address_space == AddressSpace::device &&
        argument.members.empty() && slot < 64 &&
        is_only_stored(*entry.function->getArg(entry.argument_positions[i])))
      slots |= SlotSet{1} << slot;
    ++slot;
  }
  return slots;
}

std::optional<unsigned> slot_of(const llvm::Value* pointer, const llvm::Function& function) {
  const auto* load =
      llvm::dyn_cast<llvm::LoadInst>(llvm::getUnderlyingObject(pointer, kLookedThrough));
  if (!load || !load->getType()->isPointerTy())
    return std::nullopt;
  const llvm::DataLayout& layout = function.getParent()->getDataLayout();
  llvm::APInt offset(layout.getIndexTypeSizeInBits(load->getPointerOperandType()), 0);
  const llvm::Value* base = load->getPointerOperand()->stripAndAccumulateConstantOffsets(
      layout, offset, /*AllowNonInbounds=*/true);
  constexpr std::uint64_t first = offsetof(LaunchContext, arguments);
  if (base != function.getArg(0) || offset.ult(first))
    return std::nullopt;
  return static_cast<unsigned>((offset.getZExtValue() - first) / sizeof(void*));
}

bool has_streaming_stores(const llvm::TargetMachine& target) {
  return target.getTargetTriple().isX86();
}

SlotSet stream_stores(llvm::Function& function, SlotSet slots) {
  const llvm::DataLayout& layout = function.getParent()->getDataLayout();
  SlotSet streamed = 0;
  std::vector<std::pair<VectorStore, std::uint64_t>> found;
  for (llvm::BasicBlock& block : function) {
    const std::size_t before = found.size();
    SlotSet of_block = 0;
    std::uint64_t lines = 0;
    for (llvm::Instruction& instruction : block) {
      const std::optional<VectorStore> store = as_vector_store(instruction);
      if (!store || !store->value->getType()->isVectorTy())
        continue;
      const std::uint64_t size = layout.getTypeStoreSize(store->value->getType()).getFixedValue();
      if (size < kLeast || !std::has_single_bit(size))
        continue;
      const std::optional<unsigned> slot = slot_of(store->pointer, function);
      if (!slot || !contains(slots, *slot))
        continue;
      found.emplace_back(*store, size);
      of_block |= SlotSet{1} << *slot;
      lines += std::max<std::uint64_t>(1, size / kLine);
    }
    if (registers_computed(block, layout) > kMostPerLine * lines)
      found.resize(before);
    else
      streamed |= of_block;
  }
  for (const auto& [store, size] : found)
    stream(store, size);
  return streamed;
}

} // namespace metalwright::simt
