// Computes a lane's coordinates and puts the kernel's body behind them.
#include "simt/lane_function.h"

#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/DebugInfoMetadata.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/MathExtras.h>
#include <llvm/Transforms/Utils/Cloning.h>

namespace metalwright::simt {

namespace {

class LaneFunctionBuilder {
 public:
  LaneFunctionBuilder(llvm::Module& module, const air::EntryPoint& entry,
                      const ThreadgroupLayout& layout, const Shape& shape)
      : module_(module), entry_(entry), layout_(layout), shape_(shape),
        builder_(module.getContext()) {}

  llvm::Function* build() {
    llvm::Type* pointer = builder_.getPtrTy();
    function_ = llvm::Function::Create(
        llvm::FunctionType::get(builder_.getVoidTy(), {pointer, pointer, pointer}, false),
        llvm::GlobalValue::ExternalLinkage, "lane", module_);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    function_->addFnAttr(llvm::Attribute::Convergent);
    if (llvm::DISubprogram* subprogram = entry_.function->getSubprogram()) {
      entry_.function->setSubprogram(nullptr);
      function_->setSubprogram(subprogram);
    }
    builder_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "", function_));
    LaunchReader reader(builder_, function_->getArg(0), function_->getArg(1), shape_.threads,
                        shape_.one_group);
    llvm::Value* memory = layout_.variables.empty() ? nullptr : reader.threadgroup_memory();
    const ThreadCoordinates thread = coordinates(reader);
    std::vector<llvm::Value*> values;
    for (llvm::Argument& argument : entry_.function->args())
      values.push_back(llvm::PoisonValue::get(argument.getType()));
    std::vector<llvm::Value*> read_only;
    unsigned slot = 0;
    for (std::size_t i = 0; i < entry_.arguments.size(); ++i) {
      const Argument& argument = entry_.arguments[i];
      llvm::Value*& value = values[entry_.argument_positions[i]];
      value = reader.argument(argument, slot);
      slot += argument.is_active ? 1 : 0;
      if (argument.kind == ArgumentKind::buffer && argument.access == Access::read)
        read_only.push_back(value);
    }
    for (const air::BuiltIn& built_in : entry_.built_ins)
      if (!entry_.function->getArg(built_in.position)->use_empty())
        values[built_in.position] = built_in_value(builder_, reader, built_in, thread);
    for (unsigned i = 0; i < entry_.function->arg_size(); ++i)
      entry_.function->removeParamAttr(i, llvm::Attribute::NoAlias);
    llvm::CallInst* call = builder_.CreateCall(entry_.function, values);
    if (function_->getSubprogram())
      call->setDebugLoc(
          llvm::DILocation::get(module_.getContext(), 0, 0, function_->getSubprogram()));
    builder_.CreateRetVoid();
    llvm::InlineFunctionInfo info;
    llvm::InlineFunction(*call, info);
    entry_.function->eraseFromParent();
    if (memory)
      place_threadgroup_variables(layout_, *function_, memory);
    mark_invariant(read_only);
    return function_;
  }

 private:
  llvm::Value* below(llvm::Value* value, std::uint32_t limit) {
    if (auto* instruction = llvm::dyn_cast<llvm::Instruction>(value))
      instruction->setMetadata(llvm::LLVMContext::MD_range,
                               llvm::MDBuilder(module_.getContext())
                                   .createRange(llvm::APInt(32, 0), llvm::APInt(32, limit)));
    return value;
  }

  llvm::Value* join(llvm::Value* high, llvm::Value* low) {
    llvm::Value* value = builder_.CreateOr(high, low);
    if (auto* disjoint = llvm::dyn_cast<llvm::PossiblyDisjointInst>(value))
      disjoint->setIsDisjoint(true);
    return value;
  }

  llvm::Value* lane() {
    llvm::FunctionCallee callee = module_.getOrInsertFunction(kLaneFunction, builder_.getInt32Ty());
    auto* function = llvm::cast<llvm::Function>(callee.getCallee());
    function->setDoesNotAccessMemory();
    function->setDoesNotThrow();
    function->addFnAttr(llvm::Attribute::WillReturn);
    function->addFnAttr(llvm::Attribute::Speculatable);
    llvm::Value* call = builder_.CreateCall(callee);
    call->setName("lane");
    return below(call, kSimdgroupSize);
  }

  // Where the size divides by 32, or the other way round, what a simdgroup shares is computed apart
  // from what its lanes differ in.
  ThreadCoordinates coordinates(LaunchReader& reader) {
    ThreadCoordinates thread;
    llvm::Value* lane = this->lane();
    llvm::Value* simdgroup = below(
        reader.load(function_->getArg(2), offsetof(SimdgroupState, index), builder_.getInt32Ty()),
        shape_.is_known() ? (shape_.count() + 31) / 32 : 32);
    thread.index_in_threadgroup = join(builder_.CreateShl(simdgroup, 5, "", true, true), lane);
    const auto [width, height, depth] = shape_.threads;
    llvm::Value* zero = builder_.getInt32(0);
    auto& position = thread.position_in_threadgroup;
    if (shape_.one_row || (shape_.is_known() && height * depth == 1)) {
      position = {thread.index_in_threadgroup, zero, zero};
    } else if (shape_.is_known()) {
      llvm::Value* row = nullptr;
      if (width % 32 == 0) {
        llvm::Value* per_row = builder_.getInt32(width / 32);
        position[0] = join(
            builder_.CreateShl(builder_.CreateURem(simdgroup, per_row), 5, "", true, true), lane);
        row = builder_.CreateUDiv(simdgroup, per_row);
      } else if (32 % width == 0) {
        position[0] = builder_.CreateAnd(lane, width - 1);
        row = join(builder_.CreateShl(simdgroup, 5 - llvm::Log2_32(width), "", true, true),
                   builder_.CreateLShr(lane, llvm::Log2_32(width)));
      } else {
        position[0] = builder_.CreateURem(thread.index_in_threadgroup, builder_.getInt32(width));
        row = builder_.CreateUDiv(thread.index_in_threadgroup, builder_.getInt32(width));
      }
      position[1] = depth == 1 ? row : builder_.CreateURem(row, builder_.getInt32(height));
      position[2] = depth == 1 ? zero : builder_.CreateUDiv(row, builder_.getInt32(height));
    } else {
      llvm::Value* wide = reader.threads_per_threadgroup(0);
      llvm::Value* high = reader.threads_per_threadgroup(1);
      llvm::Value* row = builder_.CreateUDiv(thread.index_in_threadgroup, wide);
      position = {builder_.CreateURem(thread.index_in_threadgroup, wide),
                  builder_.CreateURem(row, high), builder_.CreateUDiv(row, high)};
    }
    for (unsigned axis = 0; axis < 3; ++axis)
      thread.position_in_grid[axis] = builder_.CreateAdd(
          builder_.CreateMul(reader.threadgroup_position(axis),
                             reader.dispatch_threads_per_threadgroup(axis), "", true),
          position[axis], "", true);
    return thread;
  }

  void mark_invariant(llvm::ArrayRef<llvm::Value*> read_only) {
    for (llvm::Instruction& instruction : llvm::instructions(*function_)) {
      auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
      if (!load || !load->isUnordered() || load->isVolatile())
        continue;
      const llvm::Value* object = llvm::getUnderlyingObject(load->getPointerOperand(), 12);
      if (llvm::is_contained(read_only, object))
        load->setMetadata(llvm::LLVMContext::MD_invariant_load,
                          llvm::MDNode::get(module_.getContext(), {}));
    }
  }

  llvm::Module& module_;
  const air::EntryPoint& entry_;
  const ThreadgroupLayout& layout_;
  const Shape& shape_;
  llvm::IRBuilder<> builder_;
  llvm::Function* function_ = nullptr;
};

} // namespace

llvm::Function* build_lane_function(llvm::Module& module, const air::EntryPoint& entry,
                                    const ThreadgroupLayout& layout, const Shape& shape) {
  return LaneFunctionBuilder(module, entry, layout, shape).build();
}

} // namespace metalwright::simt
