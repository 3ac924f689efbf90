// Builds a thread's function and lowers its cross-lane operations to calls of the run time.
#include "simt/checked.h"

#include "simt/check_sites.h"
#include "simt/convergent_ops.h"
#include "simt/matrices.h"

#include <llvm/IR/DebugInfoMetadata.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/Cloning.h>

namespace metalwright::simt {

namespace {

using Kind = ConvergentOp::Kind;

class CheckedBuilder {
 public:
  CheckedBuilder(llvm::Module& module, const air::EntryPoint& entry,
                 const ThreadgroupLayout& layout, bool observed)
      : module_(module), entry_(entry), layout_(layout), observed_(observed),
        builder_(module.getContext()) {}

  Checked build() {
    build_entry();
    result_.sites = number_sites(*function_);
    for (unsigned number = 0; number < result_.sites.size(); ++number) {
      Site& site = result_.sites[number];
      lower(*site.call, number);
      site.call = nullptr;
    }
    narrow_matrices(*function_);
    return std::move(result_);
  }

 private:
  void build_entry() {
    llvm::Type* pointer = builder_.getPtrTy();
    function_ = llvm::Function::Create(
        llvm::FunctionType::get(builder_.getVoidTy(), {pointer, pointer, pointer}, false),
        llvm::GlobalValue::ExternalLinkage, kEntryName, module_);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    function_->addFnAttr(llvm::Attribute::Convergent);
    if (llvm::DISubprogram* subprogram = entry_.function->getSubprogram()) {
      entry_.function->setSubprogram(nullptr);
      function_->setSubprogram(subprogram);
    }
    llvm::Value* launch = function_->getArg(0);
    llvm::Value* threadgroup = function_->getArg(1);
    lane_ = function_->getArg(2);
    builder_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "", function_));
    LaunchReader reader(builder_, launch, threadgroup);
    llvm::Value* memory = reader.threadgroup_memory();
    ThreadCoordinates thread;
    llvm::Type* word = builder_.getInt32Ty();
    for (unsigned axis = 0; axis < 3; ++axis) {
      thread.position_in_threadgroup[axis] =
          reader.load(lane_, offsetof(Lane, position_in_threadgroup) + 4 * axis, word);
      thread.position_in_grid[axis] =
          builder_.CreateAdd(builder_.CreateMul(reader.threadgroup_position(axis),
                                                reader.dispatch_threads_per_threadgroup(axis)),
                             thread.position_in_threadgroup[axis]);
    }
    thread.index_in_threadgroup = reader.load(lane_, offsetof(Lane, index_in_threadgroup), word);
    index_in_simdgroup_ = reader.load(lane_, offsetof(Lane, index_in_simdgroup), word);

    std::vector<llvm::Value*> values;
    for (llvm::Argument& argument : entry_.function->args())
      values.push_back(llvm::PoisonValue::get(argument.getType()));
    unsigned slot = 0;
    for (std::size_t i = 0; i < entry_.arguments.size(); ++i) {
      values[entry_.argument_positions[i]] = reader.argument(entry_.arguments[i], slot);
      slot += entry_.arguments[i].is_active ? 1 : 0;
    }
    for (const air::BuiltIn& built_in : entry_.built_ins)
      values[built_in.position] = built_in_value(builder_, reader, built_in, thread);
    // Threads see each other's writes to a buffer at a barrier, which `noalias` would deny.
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
    if (!observed_)
      place_threadgroup_variables(layout_, *function_, memory);
  }

  // ------------------------------------------------------------------ operands and results
  llvm::Value* field(std::size_t offset) {
    return builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), lane_, offset);
  }

  void store_operand(unsigned operand, llvm::Value* value, unsigned offset = 0) {
    if (value->getType()->isIntOrIntVectorTy(1))
      value = builder_.CreateZExt(value, value->getType()->getWithNewBitWidth(8));
    builder_.CreateAlignedStore(value, field(offsetof(Lane, operands) + 32 * operand + offset),
                                llvm::Align(4));
  }

  llvm::Value* load_result(llvm::Type* type) {
    const bool boolean = type->isIntOrIntVectorTy(1);
    llvm::Type* stored = boolean ? type->getWithNewBitWidth(8) : type;
    llvm::Value* value =
        builder_.CreateAlignedLoad(stored, field(offsetof(Lane, result)), llvm::Align(4));
    return boolean ? builder_.CreateTrunc(value, type) : value;
  }

  llvm::CallInst* call_runtime(const char* name, std::vector<llvm::Value*> arguments,
                               const llvm::DebugLoc& location) {
    std::vector<llvm::Type*> types;
    for (llvm::Value* argument : arguments)
      types.push_back(argument->getType());
    llvm::FunctionCallee callee = module_.getOrInsertFunction(
        name, llvm::FunctionType::get(builder_.getVoidTy(), types, false));
    llvm::CallInst* call = builder_.CreateCall(callee, arguments);
    call->addFnAttr(llvm::Attribute::Convergent);
    call->addFnAttr(llvm::Attribute::NoMerge);
    call->addFnAttr(llvm::Attribute::NoUnwind);
    call->setDebugLoc(location);
    return call;
  }

  void call_collective(unsigned site, const ConvergentOp& op, const llvm::DebugLoc& location) {
    llvm::FunctionCallee combine =
        module_.getOrInsertFunction(kCombinePrefix + op.combine, builder_.getVoidTy());
    call_runtime(kCollectiveFunction,
                 {lane_, builder_.getInt32(site), combine.getCallee(), builder_.getInt32(op.count)},
                 location);
  }

  // ------------------------------------------------------------------ one site
  void lower(llvm::CallInst& call, unsigned number) {
    builder_.SetInsertPoint(&call);
    builder_.SetCurrentDebugLocation(call.getDebugLoc());
    llvm::Value* replacement = nullptr;
    if (call.getCalledFunction()->getName() == kReconvergeMarker) {
      call_runtime(kMeetFunction, {lane_, builder_.getInt32(number)}, call.getDebugLoc());
    } else {
      const ConvergentOp op = convergent_op(call).value(); // the caller refused everything else
      result_.sites[number].combine = op.combine;
      replacement = lower_op(call, op, number);
    }
    if (replacement)
      call.replaceAllUsesWith(replacement);
    call.eraseFromParent();
  }

  llvm::Value* lower_op(llvm::CallInst& call, const ConvergentOp& op, unsigned number) {
    switch (op.kind) {
    case Kind::threadgroup_barrier:
      result_.has_barrier = true;
      if (observed_)
        call_runtime(kFlagsHook,
                     {builder_.CreateZExtOrTrunc(call.getArgOperand(0), builder_.getInt32Ty())},
                     call.getDebugLoc());
      call_runtime(kBarrierFunction, {lane_, builder_.getInt32(number)}, call.getDebugLoc());
      return nullptr;
    case Kind::simdgroup_barrier:
      call_runtime(kMeetFunction, {lane_, builder_.getInt32(number)}, call.getDebugLoc());
      return nullptr;
    case Kind::collective:
      return lower_collective(call, op, number);
    case Kind::matrix_load:
    case Kind::matrix_store:
      return move_matrix(call, op.kind == Kind::matrix_load);
    case Kind::matrix_fill: {
      llvm::Value* element = call.getArgOperand(0);
      return widen(pair(element, element));
    }
    case Kind::matrix_diagonal: {
      const auto [row, column] = place();
      llvm::Value* zero = llvm::Constant::getNullValue(call.getArgOperand(0)->getType());
      auto element = [&](unsigned i) {
        llvm::Value* on =
            builder_.CreateICmpEQ(row, builder_.CreateAdd(column, builder_.getInt32(i)));
        return builder_.CreateSelect(on, call.getArgOperand(0), zero);
      };
      return widen(pair(element(0), element(1)));
    }
    case Kind::matrix_multiply:
      for (unsigned i = 0; i < call.arg_size(); ++i)
        store_operand(i, narrowed(call.getArgOperand(i)));
      call_collective(number, op, call.getDebugLoc());
      return widen(load_result(llvm::FixedVectorType::get(call.getType()->getScalarType(), 2)));
    }
    return nullptr;
  }

  llvm::Value* lower_collective(llvm::CallInst& call, const ConvergentOp& op, unsigned number) {
    llvm::StringRef name = op.combine;
    const bool vote = !name.contains('.');
    llvm::Type* word = builder_.getInt32Ty();
    if (vote) {
      if (call.arg_size() == 1)
        store_operand(0,
                      builder_.CreateZExt(builder_.CreateIsNotNull(call.getArgOperand(0)), word));
    } else {
      store_operand(0, call.getArgOperand(0));
      unsigned next = 1;
      if (name.contains("_fill_"))
        store_operand(1, call.getArgOperand(next++));
      if (next < call.arg_size())
        store_operand(2, builder_.CreateZExtOrTrunc(call.getArgOperand(next++), word));
      if (name.contains("_fill_"))
        store_operand(2,
                      next < call.arg_size()
                          ? builder_.CreateZExtOrTrunc(call.getArgOperand(next), word)
                          : builder_.getInt32(name.starts_with("quad") ? 4 : kSimdgroupSize),
                      4);
    }
    call_collective(number, op, call.getDebugLoc());
    if (!vote)
      return load_result(call.getType());
    return builder_.CreateTrunc(load_result(builder_.getInt64Ty()), call.getType());
  }

  // ------------------------------------------------------------------ matrices
  // The row and the first column of the elements that this lane owns (docs/design/interfaces.md).
  std::pair<llvm::Value*, llvm::Value*> place() {
    llvm::Value* lane = index_in_simdgroup_;
    llvm::Value* quarter = builder_.CreateLShr(lane, 2);
    llvm::Value* row = builder_.CreateAdd(builder_.CreateAnd(quarter, 4),
                                          builder_.CreateAnd(builder_.CreateLShr(lane, 1), 3));
    llvm::Value* column = builder_.CreateAdd(builder_.CreateShl(builder_.CreateAnd(quarter, 2), 1),
                                             builder_.CreateShl(builder_.CreateAnd(lane, 1), 1));
    return {row, column};
  }

  llvm::Value* pair(llvm::Value* first, llvm::Value* second) {
    llvm::Value* both = llvm::PoisonValue::get(llvm::FixedVectorType::get(first->getType(), 2));
    return builder_.CreateInsertElement(builder_.CreateInsertElement(both, first, std::uint64_t{0}),
                                        second, 1);
  }

  llvm::Value* widen(llvm::Value* two) {
    std::vector<int> mask(64, llvm::PoisonMaskElem);
    mask[0] = 0;
    mask[1] = 1;
    return builder_.CreateShuffleVector(two, mask);
  }
  llvm::Value* narrowed(llvm::Value* matrix) {
    return builder_.CreateShuffleVector(matrix, llvm::ArrayRef<int>{0, 1});
  }

  llvm::Value* move_matrix(llvm::CallInst& call, bool load) {
    const unsigned first = load ? 0 : 1;
    llvm::Value* pointer = call.getArgOperand(first);
    llvm::Value* stride = call.getArgOperand(first + 1);
    llvm::Value* origin = call.getArgOperand(first + 2);
    llvm::Value* transposed = call.getArgOperand(first + 3);
    llvm::Type* element =
        (load ? call.getType() : call.getArgOperand(0)->getType())->getScalarType();
    llvm::Type* word = builder_.getInt64Ty();
    const auto [row, column] = place();
    auto address = [&](unsigned i) {
      llvm::Value* r = builder_.CreateZExt(row, word);
      llvm::Value* c = builder_.CreateZExt(builder_.CreateAdd(column, builder_.getInt32(i)), word);
      llvm::Value* memory_row = builder_.CreateSelect(transposed, c, r);
      llvm::Value* memory_column = builder_.CreateSelect(transposed, r, c);
      memory_row =
          builder_.CreateAdd(memory_row, builder_.CreateExtractElement(origin, std::uint64_t{1}));
      memory_column = builder_.CreateAdd(memory_column,
                                         builder_.CreateExtractElement(origin, std::uint64_t{0}));
      return builder_.CreateGEP(
          element, pointer,
          builder_.CreateAdd(builder_.CreateMul(memory_row, stride), memory_column));
    };
    if (load)
      return widen(
          pair(builder_.CreateLoad(element, address(0)), builder_.CreateLoad(element, address(1))));
    llvm::Value* two = narrowed(call.getArgOperand(0));
    for (unsigned i = 0; i < 2; ++i)
      builder_.CreateStore(builder_.CreateExtractElement(two, i), address(i));
    return nullptr;
  }

  llvm::Module& module_;
  const air::EntryPoint& entry_;
  const ThreadgroupLayout& layout_;
  const bool observed_;
  llvm::IRBuilder<> builder_;
  Checked result_;
  llvm::Function* function_ = nullptr;
  llvm::Value* lane_ = nullptr;
  llvm::Value* index_in_simdgroup_ = nullptr;
};

} // namespace

Checked build_checked(llvm::Module& module, const air::EntryPoint& entry,
                      const ThreadgroupLayout& layout, bool observed) {
  return CheckedBuilder(module, entry, layout, observed).build();
}

} // namespace metalwright::simt
