// Loads from launch memory, the built-ins, and threadgroup variables.
#include "simt/thread_arguments.h"

#include "simt/extract.h"

#include <llvm/IR/Constants.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/ReplaceConstant.h>

namespace metalwright::simt {

using air::BuiltInKind;

llvm::Value* LaunchReader::load(llvm::Value* base, std::size_t offset, llvm::Type* type) {
  llvm::Value* address = builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), base, offset);
  llvm::LoadInst* load = builder_.CreateLoad(type, address);
  // Launch memory does not change while generated code runs.
  load->setMetadata(llvm::LLVMContext::MD_invariant_load,
                    llvm::MDNode::get(builder_.getContext(), {}));
  return load;
}

llvm::Value* LaunchReader::threads_per_grid(unsigned axis) {
  return load(launch_, offsetof(LaunchContext, threads_per_grid) + 4 * axis, builder_.getInt32Ty());
}
llvm::Value* LaunchReader::threadgroups_per_grid(unsigned axis) {
  if (is_one(axis))
    return builder_.getInt32(1);
  return load(launch_, offsetof(LaunchContext, threadgroups_per_grid) + 4 * axis,
              builder_.getInt32Ty());
}
llvm::Value* LaunchReader::dispatch_threads_per_threadgroup(unsigned axis) {
  // Code for one size runs only where the dispatch asked for that size.
  if (known_[0] != 0)
    return builder_.getInt32(known_[axis]);
  return load(launch_, offsetof(LaunchContext, dispatch_threads_per_threadgroup) + 4 * axis,
              builder_.getInt32Ty());
}
llvm::Value* LaunchReader::threadgroup_position(unsigned axis) {
  if (is_one(axis))
    return builder_.getInt32(0);
  return load(threadgroup_, offsetof(ThreadgroupContext, position) + 4 * axis,
              builder_.getInt32Ty());
}
llvm::Value* LaunchReader::threads_per_threadgroup(unsigned axis) {
  if (known_[0] != 0)
    return builder_.getInt32(known_[axis]);
  return load(threadgroup_, offsetof(ThreadgroupContext, threads) + 4 * axis,
              builder_.getInt32Ty());
}
llvm::Value* LaunchReader::threadgroup_memory() {
  return load(threadgroup_, offsetof(ThreadgroupContext, memory), builder_.getPtrTy());
}

llvm::Value* LaunchReader::argument(const Argument& argument, unsigned slot) {
  if (!argument.is_active)
    return llvm::ConstantPointerNull::get(builder_.getPtrTy());
  const std::size_t offset = offsetof(LaunchContext, arguments) + sizeof(void*) * slot;
  if (argument.kind != ArgumentKind::threadgroup_memory) {
    llvm::Value* pointer = load(launch_, offset, builder_.getPtrTy());
    // Then what is read of it may be read before it is known whether it is needed.
    if (argument.kind == ArgumentKind::buffer && argument.is_reference && argument.size > 0)
      llvm::cast<llvm::LoadInst>(pointer)->setMetadata(
          llvm::LLVMContext::MD_dereferenceable,
          llvm::MDNode::get(builder_.getContext(),
                            llvm::ConstantAsMetadata::get(builder_.getInt64(argument.size))));
    return pointer;
  }
  return builder_.CreateInBoundsGEP(builder_.getInt8Ty(), threadgroup_memory(),
                                    load(launch_, offset, builder_.getInt64Ty()));
}

bool is_grid_built_in(BuiltInKind kind) {
  switch (kind) {
  case BuiltInKind::thread_position_in_grid:
  case BuiltInKind::threads_per_grid:
  case BuiltInKind::threadgroups_per_grid:
  case BuiltInKind::dispatch_threads_per_threadgroup:
  case BuiltInKind::dispatch_simdgroups_per_threadgroup:
  case BuiltInKind::dispatch_quadgroups_per_threadgroup:
  case BuiltInKind::threads_per_simdgroup:
  case BuiltInKind::grid_origin:
    return true;
  default:
    return false;
  }
}

namespace {

// The three axes, or in axis 0 the number that a scalar built-in is.
std::array<llvm::Value*, 3> components(llvm::IRBuilder<>& builder, LaunchReader& reader,
                                       BuiltInKind kind, const ThreadCoordinates& thread) {
  auto axes = [](auto&& value) {
    return std::array<llvm::Value*, 3>{value(0u), value(1u), value(2u)};
  };
  auto product = [&](auto&& value) {
    llvm::Value* xy = builder.CreateMul(value(0u), value(1u));
    return builder.CreateMul(xy, value(2u));
  };
  auto real = [&](unsigned axis) { return reader.threads_per_threadgroup(axis); };
  auto nominal = [&](unsigned axis) { return reader.dispatch_threads_per_threadgroup(axis); };
  auto groups = [&](llvm::Value* threads, unsigned size) {
    return builder.CreateUDiv(builder.CreateAdd(threads, builder.getInt32(size - 1)),
                              builder.getInt32(size));
  };
  auto scalar = [](llvm::Value* value) {
    return std::array<llvm::Value*, 3>{value, nullptr, nullptr};
  };
  switch (kind) {
  case BuiltInKind::thread_position_in_grid:
    return thread.position_in_grid;
  case BuiltInKind::threads_per_grid:
    return axes([&](unsigned axis) { return reader.threads_per_grid(axis); });
  case BuiltInKind::threadgroup_position_in_grid:
    return axes([&](unsigned axis) { return reader.threadgroup_position(axis); });
  case BuiltInKind::threadgroups_per_grid:
    return axes([&](unsigned axis) { return reader.threadgroups_per_grid(axis); });
  case BuiltInKind::thread_position_in_threadgroup:
    return thread.position_in_threadgroup;
  case BuiltInKind::threads_per_threadgroup:
    return axes(real);
  case BuiltInKind::dispatch_threads_per_threadgroup:
    return axes(nominal);
  case BuiltInKind::grid_origin:
    return axes([&](unsigned) { return builder.getInt32(0); });
  case BuiltInKind::thread_index_in_threadgroup:
    return scalar(thread.index_in_threadgroup);
  case BuiltInKind::thread_index_in_simdgroup:
    return scalar(builder.CreateAnd(thread.index_in_threadgroup, kSimdgroupSize - 1));
  case BuiltInKind::simdgroup_index_in_threadgroup:
    return scalar(
        builder.CreateUDiv(thread.index_in_threadgroup, builder.getInt32(kSimdgroupSize)));
  case BuiltInKind::thread_index_in_quadgroup:
    return scalar(builder.CreateAnd(thread.index_in_threadgroup, 3));
  case BuiltInKind::quadgroup_index_in_threadgroup:
    return scalar(builder.CreateLShr(thread.index_in_threadgroup, 2));
  case BuiltInKind::simdgroups_per_threadgroup:
    return scalar(groups(product(real), kSimdgroupSize));
  case BuiltInKind::dispatch_simdgroups_per_threadgroup:
    return scalar(groups(product(nominal), kSimdgroupSize));
  case BuiltInKind::quadgroups_per_threadgroup:
    return scalar(groups(product(real), 4));
  case BuiltInKind::dispatch_quadgroups_per_threadgroup:
    return scalar(groups(product(nominal), 4));
  case BuiltInKind::threads_per_simdgroup:
    return scalar(builder.getInt32(kSimdgroupSize));
  }
  return {};
}

} // namespace

llvm::Value* built_in_value(llvm::IRBuilder<>& builder, LaunchReader& reader,
                            const air::BuiltIn& built_in, const ThreadCoordinates& thread) {
  const std::array<llvm::Value*, 3> values = components(builder, reader, built_in.kind, thread);
  llvm::Type* element = built_in.type->getScalarType();
  auto convert = [&](llvm::Value* value) {
    return builder.CreateTrunc(value ? value : builder.getInt32(1), element); // i32 or i16
  };
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(built_in.type);
  if (!vector)
    return convert(values[0]);
  llvm::Value* result = llvm::PoisonValue::get(vector);
  for (unsigned axis = 0; axis < vector->getNumElements(); ++axis)
    result = builder.CreateInsertElement(result, convert(values[axis]), axis);
  return result;
}

ThreadgroupLayout layout_threadgroup_variables(llvm::Module& module) {
  ThreadgroupLayout layout;
  const llvm::DataLayout& data = module.getDataLayout();
  for (llvm::GlobalVariable& global : module.globals()) {
    if (global.getSection() != kThreadgroupSection)
      continue;
    if (global.use_empty())
      continue;
    layout.size = llvm::alignTo(layout.size, data.getPreferredAlign(&global));
    layout.variables.emplace_back(&global, layout.size);
    layout.size += data.getTypeAllocSize(global.getValueType());
  }
  layout.size = llvm::alignTo(layout.size, 16);
  return layout;
}

void place_threadgroup_variables(const ThreadgroupLayout& layout, llvm::Function& function,
                                 llvm::Value* memory) {
  llvm::IRBuilder<> builder(function.getContext());
  if (auto* instruction = llvm::dyn_cast<llvm::Instruction>(memory))
    builder.SetInsertPoint(instruction->getNextNode());
  else
    builder.SetInsertPoint(function.getEntryBlock().getFirstInsertionPt());
  for (const auto& [global, offset] : layout.variables) {
    llvm::convertUsersOfConstantsToInstructions({global});
    llvm::Value* address = builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), memory, offset);
    global->replaceAllUsesWith(address);
  }
}

} // namespace metalwright::simt
