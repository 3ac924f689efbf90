// Builds the loops and puts the kernel's body into them.
#include "simt/vector_loop.h"

#include "simt/periods.h"

#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/Cloning.h>

namespace metalwright::simt {

namespace {

// Threads of a run between multiples of a period. Where the vectoriser makes a loop of many
// elements and a scalar one for the rest, a run should be several times the former.
constexpr unsigned kShortestRun = 4;
constexpr unsigned kShortestRunWithTail = 128;

// A phi that counts up by one per iteration and never wraps (launch.h says why).
llvm::PHINode* counter(llvm::IRBuilder<>& builder, llvm::Value* start, llvm::BasicBlock* before,
                       const char* name) {
  llvm::PHINode* phi = builder.CreatePHI(start->getType(), 2, name);
  phi->addIncoming(start, before);
  return phi;
}

void advance(llvm::IRBuilder<>& builder, llvm::PHINode* phi) {
  phi->addIncoming(
      builder.CreateAdd(phi, llvm::ConstantInt::get(phi->getType(), 1), "", true, true),
      builder.GetInsertBlock());
}

// Memory that threads share: what is reached from an argument, from launch memory or a constant.
// Private variables are one per thread, but the loop has one copy: accesses to those do depend on
// each other.
bool is_shared(const llvm::Value* pointer) {
  llvm::SmallVector<const llvm::Value*, 4> objects;
  llvm::getUnderlyingObjects(pointer, objects, nullptr, 12);
  return llvm::all_of(objects, [](const llvm::Value* object) {
    if (llvm::isa<llvm::Argument>(object) || llvm::isa<llvm::GlobalVariable>(object))
      return true;
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(object);
    return load && load->hasMetadata(llvm::LLVMContext::MD_invariant_load);
  });
}

class LoopBuilder {
 public:
  LoopBuilder(llvm::Module& module, const air::EntryPoint& entry, const ThreadgroupLayout& layout,
              bool masks)
      : module_(module), entry_(entry), layout_(layout), masks_(masks),
        context_(module.getContext()), builder_(context_) {}

  VectorLoop build() {
    result_.over_grid = layout_.variables.empty();
    for (const air::BuiltIn& built_in : entry_.built_ins)
      if (!entry_.function->getArg(built_in.position)->use_empty() &&
          !is_grid_built_in(built_in.kind))
        result_.over_grid = false;
    for (std::size_t i = 0; i < entry_.arguments.size(); ++i)
      if (entry_.arguments[i].kind == ArgumentKind::threadgroup_memory &&
          !entry_.function->getArg(entry_.argument_positions[i])->use_empty())
        result_.over_grid = false;
    declare_loop();
    build_loops();
    build_entry();
    entry_.function->eraseFromParent();
    return result_;
  }

 private:
  // loop(buffers and threadgroup arguments..., launch, threadgroup, row_begin, row_end, x_begin,
  // x_count): the pointers are arguments so that `noalias` can be said of them.
  void declare_loop() {
    llvm::Type* pointer = builder_.getPtrTy();
    std::vector<llvm::Type*> types(entry_.arguments.size(), pointer);
    for (llvm::Type* type : {pointer, pointer, static_cast<llvm::Type*>(builder_.getInt64Ty()),
                             static_cast<llvm::Type*>(builder_.getInt64Ty()),
                             static_cast<llvm::Type*>(builder_.getInt32Ty()),
                             static_cast<llvm::Type*>(builder_.getInt32Ty())})
      types.push_back(type);
    loop_ = llvm::Function::Create(llvm::FunctionType::get(builder_.getVoidTy(), types, false),
                                   llvm::GlobalValue::InternalLinkage, "loop", module_);
    loop_->addFnAttr(llvm::Attribute::NoInline);
    loop_->addFnAttr(llvm::Attribute::NoUnwind);
    for (std::size_t i = 0; i < entry_.arguments.size(); ++i) {
      const Argument& argument = entry_.arguments[i];
      llvm::Argument* parameter = loop_->getArg(static_cast<unsigned>(i));
      parameter->setName(argument.name);
      if (argument.kind != ArgumentKind::buffer)
        continue;
      parameter->addAttr(llvm::Attribute::NoAlias);
      if (!argument.is_active)
        continue;
      llvm::AttrBuilder facts(context_);
      facts.addAlignmentAttr(llvm::Align(argument.alignment));
      if (argument.is_reference && argument.size > 0)
        facts.addDereferenceableAttr(argument.size);
      parameter->addAttrs(facts);
    }
    const unsigned first = static_cast<unsigned>(entry_.arguments.size());
    launch_ = loop_->getArg(first);
    threadgroup_ = loop_->getArg(first + 1);
    launch_->addAttr(llvm::Attribute::NoAlias);
    threadgroup_->addAttr(llvm::Attribute::NoAlias);
    row_begin_ = loop_->getArg(first + 2);
    row_end_ = loop_->getArg(first + 3);
    x_begin_ = loop_->getArg(first + 4);
    x_count_ = loop_->getArg(first + 5);
  }

  void build_loops() {
    auto block = [&](const char* name) { return llvm::BasicBlock::Create(context_, name, loop_); };
    llvm::BasicBlock* start = block("start");
    llvm::BasicBlock* row = block("row");
    llvm::BasicBlock* body = block("thread");
    llvm::BasicBlock* row_latch = block("row.end");
    llvm::BasicBlock* end = block("end");
    const bool grid = result_.over_grid;

    builder_.SetInsertPoint(start);
    LaunchReader reader(builder_, launch_, threadgroup_);
    llvm::Value* memory = layout_.variables.empty() ? nullptr : reader.threadgroup_memory();
    auto extent = [&](unsigned axis) {
      return grid ? reader.threads_per_grid(axis) : reader.threads_per_threadgroup(axis);
    };
    llvm::Value* width = extent(0);
    llvm::Value* height = builder_.CreateZExt(extent(1), builder_.getInt64Ty());
    std::array<llvm::Value*, 3> origin{}; // of the threadgroup, in the grid
    if (!grid)
      for (unsigned axis = 0; axis < 3; ++axis)
        origin[axis] = builder_.CreateMul(reader.threadgroup_position(axis),
                                          reader.dispatch_threads_per_threadgroup(axis), "", true);
    builder_.CreateBr(row);

    builder_.SetInsertPoint(row);
    llvm::PHINode* row_index = counter(builder_, row_begin_, start, "row");
    llvm::Type* word = builder_.getInt32Ty();
    llvm::Value* y = builder_.CreateTrunc(builder_.CreateURem(row_index, height), word, "y");
    llvm::Value* z = builder_.CreateTrunc(builder_.CreateUDiv(row_index, height), word, "z");
    llvm::Value* grid_x_begin = grid ? x_begin_ : builder_.CreateAdd(origin[0], x_begin_, "", true);
    llvm::Value* index_begin = nullptr;
    if (!grid)
      index_begin = builder_.CreateAdd(
          builder_.CreateMul(builder_.CreateTrunc(row_index, word), width, "", true), x_begin_, "",
          true);
    std::array<llvm::Value*, 3> in_row{nullptr, y, z};
    if (!grid)
      for (unsigned axis = 1; axis < 3; ++axis)
        in_row[axis] = builder_.CreateAdd(origin[axis], axis == 1 ? y : z, "", true);
    builder_.CreateBr(body);

    builder_.SetInsertPoint(body);
    llvm::PHINode* count = counter(builder_, builder_.getInt32(0), row, "count");
    llvm::PHINode* grid_x = counter(builder_, grid_x_begin, row, "grid.x");
    llvm::PHINode* x = grid ? nullptr : counter(builder_, x_begin_, row, "x");
    llvm::PHINode* index = grid ? nullptr : counter(builder_, index_begin, row, "index");
    ThreadCoordinates thread;
    thread.position_in_grid = {grid_x, in_row[1], in_row[2]};
    thread.position_in_threadgroup = {x, y, z};
    thread.index_in_threadgroup = index;
    llvm::CallInst* call = call_kernel(reader, thread);
    for (llvm::PHINode* phi : {count, grid_x, x, index})
      if (phi)
        advance(builder_, phi);
    llvm::BranchInst* latch = builder_.CreateCondBr(
        builder_.CreateICmpULT(count->getIncomingValue(1), x_count_), body, row_latch);

    builder_.SetInsertPoint(row_latch);
    advance(builder_, row_index);
    builder_.CreateCondBr(builder_.CreateICmpULT(row_index->getIncomingValue(1), row_end_), row,
                          end);
    builder_.SetInsertPoint(end);
    builder_.CreateRetVoid();

    loop_->setSubprogram(entry_.function->getSubprogram());
    entry_.function->setSubprogram(nullptr);
    const unsigned size = entry_.function->getInstructionCount();
    llvm::InlineFunctionInfo info;
    llvm::InlineFunction(*call, info);
    if (memory)
      place_threadgroup_variables(layout_, *loop_, memory);
    const Periods periods = split_at_periods({row, latch, count, grid_x, x_count_, size},
                                             masks_ ? kShortestRun : kShortestRunWithTail);
    result_.period = periods.period;
    llvm::MDNode* group = mark_accesses();
    mark_parallel(*latch, group);
    if (periods.other)
      mark_parallel(*periods.other, group);
  }

  llvm::CallInst* call_kernel(LaunchReader& reader, const ThreadCoordinates& thread) {
    std::vector<llvm::Value*> values;
    for (llvm::Argument& argument : entry_.function->args())
      values.push_back(llvm::PoisonValue::get(argument.getType()));
    for (std::size_t i = 0; i < entry_.arguments.size(); ++i)
      values[entry_.argument_positions[i]] = loop_->getArg(static_cast<unsigned>(i));
    for (const air::BuiltIn& built_in : entry_.built_ins)
      if (!entry_.function->getArg(built_in.position)->use_empty())
        values[built_in.position] = built_in_value(builder_, reader, built_in, thread);
    // What `loop` says of its arguments holds for the whole loop; said again here it would be
    // turned into alias scopes, access by access.
    for (unsigned i = 0; i < entry_.function->arg_size(); ++i)
      entry_.function->removeParamAttr(i, llvm::Attribute::NoAlias);
    return builder_.CreateCall(entry_.function, values);
  }

  llvm::MDNode* mark_accesses() {
    llvm::MDNode* group = llvm::MDNode::getDistinct(context_, {});
    for (llvm::Instruction& instruction : llvm::instructions(*loop_)) {
      const llvm::Value* pointer = llvm::getLoadStorePointerOperand(&instruction);
      if (pointer && is_shared(pointer))
        instruction.setMetadata(llvm::LLVMContext::MD_access_group, group);
    }
    return group;
  }

  void mark_parallel(llvm::BranchInst& latch, llvm::MDNode* group) {
    llvm::MDNode* accesses = llvm::MDNode::get(
        context_, {llvm::MDString::get(context_, "llvm.loop.parallel_accesses"), group});
    llvm::SmallVector<llvm::Metadata*, 4> facts{nullptr, accesses};
    if (masks_ && result_.period != 0) // short runs would be unrolled, for nothing
      facts.push_back(
          llvm::MDNode::get(context_, {llvm::MDString::get(context_, "llvm.loop.unroll.disable")}));
    // One masked loop instead of an unrolled one, a narrower one for what it leaves and a scalar
    // one for the rest: half the time in the code generator for a quarter of the speed in the
    // first-level cache, and short rows are not scalar. Worth it only where masks cost nothing.
    if (masks_)
      facts.push_back(llvm::MDNode::get(
          context_, {llvm::MDString::get(context_, "llvm.loop.vectorize.predicate.enable"),
                     llvm::ConstantAsMetadata::get(builder_.getTrue())}));
    llvm::MDNode* loop = llvm::MDNode::getDistinct(context_, facts);
    loop->replaceOperandWith(0, loop);
    latch.setMetadata(llvm::LLVMContext::MD_loop, loop);
  }

  void build_entry() {
    llvm::Type* pointer = builder_.getPtrTy();
    llvm::FunctionType* type =
        llvm::FunctionType::get(builder_.getVoidTy(),
                                {pointer, pointer, builder_.getInt64Ty(), builder_.getInt64Ty(),
                                 builder_.getInt32Ty(), builder_.getInt32Ty()},
                                false);
    llvm::Function* entry =
        llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, kEntryName, module_);
    entry->addFnAttr(llvm::Attribute::NoUnwind);
    builder_.SetInsertPoint(llvm::BasicBlock::Create(context_, "", entry));
    LaunchReader reader(builder_, entry->getArg(0), entry->getArg(1));
    std::vector<llvm::Value*> values;
    unsigned slot = 0;
    for (const Argument& argument : entry_.arguments) {
      values.push_back(argument.kind == ArgumentKind::threadgroup_memory && result_.over_grid
                           ? llvm::ConstantPointerNull::get(builder_.getPtrTy())
                           : reader.argument(argument, slot));
      slot += argument.is_active ? 1 : 0;
    }
    for (llvm::Argument& argument : entry->args())
      values.push_back(&argument);
    builder_.CreateCall(loop_, values);
    builder_.CreateRetVoid();
  }

  llvm::Module& module_;
  const air::EntryPoint& entry_;
  const ThreadgroupLayout& layout_;
  bool masks_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> builder_;
  VectorLoop result_;
  llvm::Function* loop_ = nullptr;
  llvm::Argument* launch_ = nullptr;
  llvm::Argument* threadgroup_ = nullptr;
  llvm::Value* row_begin_ = nullptr;
  llvm::Value* row_end_ = nullptr;
  llvm::Value* x_begin_ = nullptr;
  llvm::Value* x_count_ = nullptr;
};

} // namespace

VectorLoop build_vector_loop(llvm::Module& module, const air::EntryPoint& entry,
                             const ThreadgroupLayout& layout, bool masks) {
  return LoopBuilder(module, entry, layout, masks).build();
}

} // namespace metalwright::simt
