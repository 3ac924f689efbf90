// Regions for variables, hooks for accesses, MemorySanitizer in between.
#include "simt/instrument.h"

#include "simt/value_checks.h"

#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/Demangle/Demangle.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/ReplaceConstant.h>
#include <llvm/IR/ValueHandle.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Transforms/Instrumentation/MemorySanitizer.h>
#include <llvm/Transforms/Utils/PromoteMemToReg.h>

namespace metalwright::simt {

void promote_initialised_variables(llvm::Function& function) {
  llvm::DominatorTree dominators(function);
  std::vector<llvm::AllocaInst*> promoted;
  for (llvm::Instruction& instruction : function.getEntryBlock()) {
    auto* variable = llvm::dyn_cast<llvm::AllocaInst>(&instruction);
    if (!variable || !llvm::isAllocaPromotable(variable))
      continue;
    std::vector<const llvm::Instruction*> loads;
    std::vector<const llvm::Instruction*> stores;
    for (const llvm::User* user : variable->users()) {
      if (const auto* load = llvm::dyn_cast<llvm::LoadInst>(user))
        loads.push_back(load);
      else if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(user))
        stores.push_back(store);
    }
    const bool initialised = llvm::all_of(loads, [&](const llvm::Instruction* load) {
      return llvm::any_of(stores, [&](const llvm::Instruction* store) {
        return dominators.dominates(store, load);
      });
    });
    if (initialised)
      promoted.push_back(variable);
  }
  if (!promoted.empty())
    llvm::PromoteMemToReg(promoted, dominators);
}

namespace {

// "shared" of "k(float const*, ...)::shared".
std::string variable_name(llvm::StringRef mangled) {
  std::string name = llvm::demangle(mangled);
  if (const std::size_t at = name.rfind("::"); at != std::string::npos)
    name = name.substr(at + 2);
  return name;
}

// The alloca of "x.addr" or "x1" (inlined twice) is the program's x.
std::string local_name(llvm::StringRef name) {
  name.consume_back(".addr");
  const std::size_t inlined = name.find(".i");
  if (inlined != llvm::StringRef::npos)
    name = name.take_front(inlined);
  name.consume_back(".addr");
  return name.str();
}

class Instrumenter {
 public:
  Instrumenter(llvm::Module& module, llvm::Function& entry, const ThreadgroupLayout& layout,
               CheckTables& tables)
      : module_(module), entry_(entry), layout_(layout), tables_(tables),
        builder_(module.getContext()) {}

  void run() {
    // An access through null is ours to find, not the optimiser's to take for impossible.
    for (llvm::Function& function : module_)
      if (!function.isDeclaration())
        function.addFnAttr(llvm::Attribute::NullPointerIsValid);
    threadgroup_variables();
    constants();
    move_vectors_as_values();
    local_variables();
    find_accesses();
    follow_undefined_values();
    name_warnings();
    for (const Access& access : accesses_)
      redirect(access);
  }

 private:
  struct Access {
    llvm::WeakVH instruction; // MemorySanitizer removes code that is never reached
    unsigned pointer;         // which operand
    unsigned site;
  };

  // ------------------------------------------------------------------ regions
  llvm::Constant* region_pointer(CheckRegion region) {
    const std::uint64_t number = kFirstVariable + tables_.regions.size();
    tables_.regions.push_back(std::move(region));
    return llvm::ConstantExpr::getIntToPtr(builder_.getInt64(number << kRegionShift | kRegionBias),
                                           builder_.getPtrTy());
  }

  void threadgroup_variables() {
    for (const auto& [global, offset] : layout_.variables) {
      llvm::convertUsersOfConstantsToInstructions({global});
      global->replaceAllUsesWith(region_pointer(
          {CheckRegion::Kind::threadgroup, variable_name(global->getName()),
           module_.getDataLayout().getTypeAllocSize(global->getValueType()), offset}));
    }
  }

  // Tables of the program. The run time learns their addresses from the code.
  void constants() {
    for (llvm::GlobalVariable& global : module_.globals()) {
      if (!global.isConstant() || !global.hasInitializer() || is_threadgroup(global))
        continue;
      llvm::convertUsersOfConstantsToInstructions({&global});
      std::vector<llvm::Use*> uses;
      for (llvm::Use& use : global.uses())
        if (llvm::isa<llvm::Instruction>(use.getUser()))
          uses.push_back(&use);
      if (uses.empty())
        continue;
      const auto number = static_cast<std::uint32_t>(tables_.regions.size());
      llvm::Constant* pointer =
          region_pointer({CheckRegion::Kind::constant, variable_name(global.getName()),
                          module_.getDataLayout().getTypeAllocSize(global.getValueType()), 0});
      for (llvm::Use* use : uses)
        use->set(pointer);
      builder_.SetInsertPoint(entry_.getEntryBlock().getFirstInsertionPt());
      quiet(builder_.CreateCall(
          hook(kConstantHook, builder_.getVoidTy(), {builder_.getInt32Ty(), builder_.getPtrTy()}),
          {builder_.getInt32(number), &global}));
    }
  }
  bool is_threadgroup(const llvm::GlobalVariable& global) const {
    return llvm::any_of(layout_.variables,
                        [&](const auto& variable) { return variable.first == &global; });
  }

  // The copy of a vector is one of its elements, all of which it must have; the copy of a structure
  // is one of bytes, some of which may be padding.
  void move_vectors_as_values() {
    std::vector<llvm::MemCpyInst*> copies;
    for (llvm::Instruction& instruction : llvm::instructions(entry_))
      if (auto* copy = llvm::dyn_cast<llvm::MemCpyInst>(&instruction))
        copies.push_back(copy);
    for (llvm::MemCpyInst* copy : copies) {
      const auto* length = llvm::dyn_cast<llvm::ConstantInt>(copy->getLength());
      llvm::Type* vector = nullptr;
      for (llvm::Value* pointer : {copy->getRawDest(), copy->getRawSource()})
        if (auto* variable = llvm::dyn_cast<llvm::AllocaInst>(pointer);
            variable && !variable->isArrayAllocation()) {
          llvm::Type* type = variable->getAllocatedType();
          while (type->isStructTy() && type->getStructNumElements() == 1)
            type = type->getStructElementType(0);
          if (type->isVectorTy())
            vector = type;
        }
      if (!length || !vector || copy->isVolatile() ||
          module_.getDataLayout().getTypeAllocSize(vector) != length->getZExtValue())
        continue;
      builder_.SetInsertPoint(copy);
      llvm::Value* value = builder_.CreateAlignedLoad(vector, copy->getRawSource(),
                                                      copy->getSourceAlign().valueOrOne());
      builder_.CreateAlignedStore(value, copy->getRawDest(), copy->getDestAlign().valueOrOne());
      copy->eraseFromParent();
    }
  }

  // Whether the run time's own functions (of textures) take its address: it stays memory of theirs.
  static bool is_given_away(const llvm::Value& value) {
    return llvm::any_of(value.users(), [](const llvm::User* user) {
      if (const auto* call = llvm::dyn_cast<llvm::CallInst>(user))
        return call->getCalledFunction() && call->getCalledFunction()->isDeclaration() &&
               !call->getCalledFunction()->isIntrinsic() &&
               !call->getCalledFunction()->getName().starts_with("metalwright.check.") &&
               call->getCalledFunction()->getName() != "memcmp";
      return llvm::isa<llvm::GetElementPtrInst>(user) && is_given_away(*user);
    });
  }

  // Functions that call themselves keep their variables: a region has one place per thread.
  void local_variables() {
    std::vector<llvm::AllocaInst*> variables;
    for (llvm::Instruction& instruction : llvm::instructions(entry_))
      if (auto* variable = llvm::dyn_cast<llvm::AllocaInst>(&instruction);
          variable && variable->isStaticAlloca() && !is_given_away(*variable))
        variables.push_back(variable);
    for (llvm::AllocaInst* variable : variables) {
      const std::uint64_t size =
          variable->getAllocationSize(module_.getDataLayout())->getFixedValue();
      tables_.frame_size =
          llvm::alignTo(tables_.frame_size, std::max(variable->getAlign(), llvm::Align(8)));
      CheckRegion region{CheckRegion::Kind::local, local_name(variable->getName()), size,
                         tables_.frame_size};
      tables_.frame_size += size;
      const auto number = static_cast<std::uint32_t>(tables_.regions.size());
      llvm::Constant* pointer = region_pointer(std::move(region));
      for (llvm::User* user : llvm::make_early_inc_range(variable->users())) {
        auto* lifetime = llvm::dyn_cast<llvm::LifetimeIntrinsic>(user);
        if (!lifetime)
          continue;
        builder_.SetInsertPoint(lifetime);
        quiet(builder_.CreateCall(hook(kScopeHook, builder_.getVoidTy(), {builder_.getInt32Ty()}),
                                  {builder_.getInt32(number)}));
        lifetime->eraseFromParent();
      }
      variable->replaceAllUsesWith(pointer);
      variable->eraseFromParent();
    }
    tables_.frame_size = llvm::alignTo(tables_.frame_size, 64);
  }

  // ------------------------------------------------------------------ accesses
  llvm::FunctionCallee hook(const char* name, llvm::Type* result,
                            std::vector<llvm::Type*> parameters) {
    llvm::FunctionCallee callee =
        module_.getOrInsertFunction(name, llvm::FunctionType::get(result, parameters, false));
    llvm::cast<llvm::Function>(callee.getCallee())->addFnAttr(llvm::Attribute::NoUnwind);
    return callee;
  }

  static void quiet(llvm::Instruction* instruction) {
    instruction->setMetadata(llvm::LLVMContext::MD_nosanitize,
                             llvm::MDNode::get(instruction->getContext(), {}));
  }

  // What the engine itself reads and writes: launch memory and the lane.
  enum class Owner { program, engine, lane };
  Owner owner(const llvm::Value* pointer) const {
    const llvm::Value* object = llvm::getUnderlyingObject(pointer, 0);
    if (object == entry_.getArg(2))
      return Owner::lane;
    return object == entry_.getArg(0) || object == entry_.getArg(1) ? Owner::engine
                                                                    : Owner::program;
  }

  unsigned add_site(CheckSite site) {
    tables_.sites.push_back(std::move(site));
    return static_cast<unsigned>(tables_.sites.size() - 1);
  }

  void add_access(llvm::Instruction& instruction, unsigned pointer, CheckKind kind,
                  llvm::Type* type, llvm::Align alignment, bool atomic) {
    switch (owner(instruction.getOperand(pointer))) {
    case Owner::engine:
      quiet(&instruction);
      return;
    case Owner::lane: // the operands' definedness goes with them
      return;
    case Owner::program:
      break;
    }
    const llvm::DataLayout& data = module_.getDataLayout();
    CheckSite site;
    site.kind = kind;
    site.place = place_of(instruction);
    site.is_atomic = atomic;
    site.size = static_cast<std::uint32_t>(data.getTypeStoreSize(type));
    site.alignment = static_cast<std::uint32_t>(alignment.value());
    site.element = static_cast<std::uint32_t>(data.getTypeStoreSize(type->getScalarType()));
    if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction))
      if (const auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(store->getValueOperand())) {
        // A vector of three is stored as four, the last of which is nothing.
        const llvm::ArrayRef<int> mask = shuffle->getShuffleMask();
        std::size_t defined = mask.size();
        while (defined > 0 && mask[defined - 1] < 0)
          --defined;
        if (defined < mask.size())
          site.ignored_from = static_cast<std::uint32_t>(defined) * site.element;
      }
    tables_.has_atomics |= atomic;
    tables_.has_float_atomics |= atomic && type->isFloatingPointTy();
    instruction.dropUnknownNonDebugMetadata();
    accesses_.push_back({&instruction, pointer, add_site(std::move(site))});
  }

  void find_accesses() {
    std::vector<llvm::Instruction*> all;
    for (llvm::Function& function : module_)
      for (llvm::Instruction& instruction : llvm::instructions(function))
        all.push_back(&instruction);
    for (llvm::Instruction* instruction : all) {
      if (auto* load = llvm::dyn_cast<llvm::LoadInst>(instruction)) {
        add_access(*load, 0, CheckKind::read, load->getType(), load->getAlign(), load->isAtomic());
      } else if (auto* store = llvm::dyn_cast<llvm::StoreInst>(instruction)) {
        add_access(*store, 1, CheckKind::write, store->getValueOperand()->getType(),
                   store->getAlign(), store->isAtomic());
      } else if (auto* update = llvm::dyn_cast<llvm::AtomicRMWInst>(instruction)) {
        before_update(*update);
        add_access(*update, 0, CheckKind::update, update->getType(), update->getAlign(), true);
      } else if (auto* exchange = llvm::dyn_cast<llvm::AtomicCmpXchgInst>(instruction)) {
        before_update(*exchange);
        add_access(*exchange, 0, CheckKind::update, exchange->getCompareOperand()->getType(),
                   exchange->getAlign(), true);
      } else if (auto* fence = llvm::dyn_cast<llvm::FenceInst>(instruction)) {
        builder_.SetInsertPoint(fence);
        quiet(builder_.CreateCall(hook(kFenceHook, builder_.getVoidTy(), {})));
      } else if (auto* memory = llvm::dyn_cast<llvm::MemIntrinsic>(instruction)) {
        replace(*memory);
      } else if (auto* call = llvm::dyn_cast<llvm::CallInst>(instruction);
                 call && call->getCalledFunction() &&
                 call->getCalledFunction()->getName() == "memcmp") {
        replace_comparison(*call);
      }
    }
  }

  // MemorySanitizer takes what an atomic operation reads as defined.
  void before_update(llvm::Instruction& update) {
    CheckSite site;
    site.kind = CheckKind::undefined;
    site.place = place_of(update);
    site.what = "an atomic operation";
    llvm::Type* type =
        llvm::isa<llvm::AtomicRMWInst>(update) ? update.getType() : update.getOperand(1)->getType();
    site.size = static_cast<std::uint32_t>(module_.getDataLayout().getTypeStoreSize(type));
    builder_.SetInsertPoint(&update);
    quiet(builder_.CreateCall(
        hook(kUpdateHook, builder_.getVoidTy(), {builder_.getPtrTy(), builder_.getInt32Ty()}),
        {update.getOperand(0), builder_.getInt32(add_site(std::move(site)))}));
  }

  void replace(llvm::MemIntrinsic& memory) {
    const auto* transfer = llvm::dyn_cast<llvm::MemTransferInst>(&memory);
    CheckSite site;
    site.kind = transfer ? CheckKind::copy : CheckKind::fill;
    site.place = place_of(memory);
    site.alignment = static_cast<std::uint32_t>(memory.getDestAlign().valueOrOne().value());
    if (transfer)
      site.source_alignment =
          static_cast<std::uint32_t>(transfer->getSourceAlign().valueOrOne().value());
    builder_.SetInsertPoint(&memory);
    llvm::Value* bytes = builder_.CreateZExtOrTrunc(memory.getLength(), builder_.getInt64Ty());
    llvm::Value* number = builder_.getInt32(add_site(std::move(site)));
    llvm::Type* pointer = builder_.getPtrTy();
    llvm::Type* word = builder_.getInt32Ty();
    if (transfer)
      builder_.CreateCall(
          hook(kCopyHook, builder_.getVoidTy(), {pointer, pointer, builder_.getInt64Ty(), word}),
          {memory.getRawDest(), transfer->getRawSource(), bytes, number});
    else
      builder_.CreateCall(
          hook(kFillHook, builder_.getVoidTy(),
               {pointer, builder_.getInt8Ty(), builder_.getInt64Ty(), word}),
          {memory.getRawDest(), llvm::cast<llvm::MemSetInst>(memory).getValue(), bytes, number});
    memory.eraseFromParent();
  }

  void replace_comparison(llvm::CallInst& call) {
    CheckSite site;
    site.kind = CheckKind::compare;
    site.place = place_of(call);
    builder_.SetInsertPoint(&call);
    llvm::Type* pointer = builder_.getPtrTy();
    llvm::Type* word = builder_.getInt32Ty();
    llvm::CallInst* made = builder_.CreateCall(
        hook(kCompareHook, word, {pointer, pointer, builder_.getInt64Ty(), word}),
        {call.getArgOperand(0), call.getArgOperand(1),
         builder_.CreateZExtOrTrunc(call.getArgOperand(2), builder_.getInt64Ty()),
         builder_.getInt32(add_site(std::move(site)))});
    call.replaceAllUsesWith(made);
    call.eraseFromParent();
  }

  void redirect(const Access& access) {
    auto* instruction = llvm::dyn_cast_or_null<llvm::Instruction>(access.instruction);
    if (!instruction)
      return;
    builder_.SetInsertPoint(instruction);
    llvm::Type* pointer = builder_.getPtrTy();
    llvm::Value* address = builder_.CreateCall(
        hook(kAccessHook, pointer, {pointer, builder_.getInt32Ty()}),
        {instruction->getOperand(access.pointer), builder_.getInt32(access.site)});
    instruction->setOperand(access.pointer, address);
  }

  // ------------------------------------------------------------------ undefined values
  void follow_undefined_values() {
    for (llvm::Function& function : module_)
      if (!function.isDeclaration())
        function.addFnAttr(llvm::Attribute::SanitizeMemory);
    // The kernel's form of the pass asks the run time for every shadow address, so nothing of a
    // platform's layout enters; the triple only has to be one that the pass knows.
    const std::string triple = module_.getTargetTriple();
    module_.setTargetTriple("x86_64-unknown-linux-gnu");
    llvm::LoopAnalysisManager loops;
    llvm::FunctionAnalysisManager functions;
    llvm::CGSCCAnalysisManager components;
    llvm::ModuleAnalysisManager modules;
    llvm::PassBuilder builder;
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(components);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, components, modules);
    llvm::MemorySanitizerPass(llvm::MemorySanitizerOptions(2, true, true)).run(module_, modules);
    module_.setTargetTriple(triple);
    for (llvm::Function& function : module_)
      function.removeFnAttr(llvm::Attribute::SanitizeMemory);
  }

  // What the undefined value is for: the pass puts its warning in a block of its own before the
  // instruction that is about to use it.
  static std::string use_of(const llvm::CallInst& warning) {
    const llvm::BasicBlock* next = warning.getParent()->getSingleSuccessor();
    const llvm::Instruction* user = next ? next->getFirstNonPHIOrDbg() : nullptr;
    // Several checks of one instruction follow each other.
    for (unsigned i = 0; user && i < 32; ++i) {
      if (llvm::isa<llvm::LoadInst, llvm::StoreInst, llvm::AtomicRMWInst, llvm::AtomicCmpXchgInst>(
              user) &&
          !user->getMetadata(llvm::LLVMContext::MD_nosanitize))
        return "an address";
      if (user->isIntDivRem())
        return "a divisor";
      if (llvm::isa<llvm::SwitchInst, llvm::BranchInst>(user))
        return "a branch";
      user = user->getNextNode();
    }
    return "a decision";
  }

  void name_warnings() {
    llvm::Function* warning = module_.getFunction("__msan_warning");
    if (!warning)
      return;
    for (llvm::User* user : llvm::make_early_inc_range(warning->users())) {
      auto* call = llvm::cast<llvm::CallInst>(user);
      CheckSite site;
      site.kind = CheckKind::undefined;
      site.place = place_of(*call);
      site.what = use_of(*call);
      builder_.SetInsertPoint(call);
      llvm::Type* word = builder_.getInt32Ty();
      llvm::Value* origin = call->arg_size() > 0 ? call->getArgOperand(0) : builder_.getInt32(0);
      builder_.CreateCall(hook(kUndefinedHook, builder_.getVoidTy(), {word, word}),
                          {origin, builder_.getInt32(add_site(std::move(site)))});
      call->eraseFromParent();
    }
    warning->eraseFromParent();
  }

  llvm::Module& module_;
  llvm::Function& entry_;
  const ThreadgroupLayout& layout_;
  CheckTables& tables_;
  llvm::IRBuilder<> builder_;
  std::vector<Access> accesses_;
};

} // namespace

void instrument(llvm::Module& module, llvm::Function& entry, const ThreadgroupLayout& layout,
                CheckTables& tables) {
  Instrumenter(module, entry, layout, tables).run();
}

} // namespace metalwright::simt
