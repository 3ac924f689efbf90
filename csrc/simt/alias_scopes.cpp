// Looks for the load that gave an access its address.
#include "simt/alias_scopes.h"

#include "simt/launch.h"

#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/Module.h>

#include <cstddef>

namespace metalwright::simt {

namespace {

// Where an access goes, or a vector of such places; null of what is no access.
llvm::Value* address_of(llvm::Instruction& instruction) {
  if (llvm::Value* address = llvm::getLoadStorePointerOperand(&instruction))
    return address;
  const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
  if (!call)
    return nullptr;
  switch (call->getIntrinsicID()) {
  case llvm::Intrinsic::masked_load:
  case llvm::Intrinsic::masked_gather:
    return call->getArgOperand(0);
  case llvm::Intrinsic::masked_store:
  case llvm::Intrinsic::masked_scatter:
    return call->getArgOperand(1);
  default:
    return nullptr;
  }
}

} // namespace

void tell_memories_apart(llvm::Function& function) {
  const llvm::DataLayout& layout = function.getDataLayout();
  // The argument from whose memory the address of what `address` leads into was loaded.
  const auto source_of = [&](llvm::Value* address) -> const llvm::Argument* {
    while (address->getType()->isVectorTy()) {
      auto* lanes = llvm::dyn_cast<llvm::GetElementPtrInst>(address);
      if (!lanes)
        return nullptr;
      address = lanes->getPointerOperand();
    }
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(llvm::getUnderlyingObject(address, 0));
    if (!load || !load->hasMetadata(llvm::LLVMContext::MD_invariant_load))
      return nullptr;
    std::int64_t offset = 0;
    const auto* argument = llvm::dyn_cast<llvm::Argument>(
        llvm::GetPointerBaseWithConstantOffset(load->getPointerOperand(), offset, layout));
    if (!argument || argument->getArgNo() > 1 ||
        (argument->getArgNo() == 1 && offset != offsetof(ThreadgroupContext, memory)))
      return nullptr;
    return argument;
  };
  llvm::MDBuilder builder(function.getContext());
  llvm::MDNode* domain = builder.createAnonymousAliasScopeDomain();
  llvm::MDNode* scopes = llvm::MDNode::get(
      function.getContext(), builder.createAnonymousAliasScope(domain, "threadgroup memory"));
  for (llvm::Instruction& instruction : llvm::instructions(function)) {
    llvm::Value* address = address_of(instruction);
    const llvm::Argument* source = address ? source_of(address) : nullptr;
    if (source)
      instruction.setMetadata(source->getArgNo() == 1 ? llvm::LLVMContext::MD_alias_scope
                                                      : llvm::LLVMContext::MD_noalias,
                              scopes);
  }
}

} // namespace metalwright::simt
