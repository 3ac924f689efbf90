// Writes the program once more, instruction by instruction.
#include "simt/widen_threadgroups.h"

#include "simt/flatten.h"
#include "simt/join_gathers.h"
#include "simt/launch.h"
#include "simt/simdgroup_state.h"
#include "simt/steps.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/DenseSet.h>
#include <llvm/ADT/PostOrderIterator.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/Analysis/VectorUtils.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/PatternMatch.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include <cstddef>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace metalwright::simt {

namespace {

using llvm::Instruction;
using llvm::Value;

// More instructions than this cost more to compile than most kernels run.
constexpr std::size_t kMost = 6000;
// Bytes of variables: they should stay in the second level of the cache.
constexpr std::uint64_t kMostAside = 256 * 1024;
// Lanes whose elements are gathered from threadgroup memory.
constexpr unsigned kMostApart = 160;

class Widener {
 public:
  // `function` may be spoiled.
  // `is_interleaved`: threadgroup memory, whose elements have one size then.
  Widener(llvm::Function& function, const ThreadgroupLayout& layout, unsigned width,
          bool is_interleaved)
      : function_(function), width_(width), is_interleaved_(is_interleaved),
        variables_(layout.variables), stride_(llvm::alignTo(layout.size, 64) + 64),
        layout_(function.getParent()->getDataLayout()), builder_(function.getContext()) {}

  // The new function; null if there is none.
  llvm::Function* run() {
    if (!find_sources())
      return nullptr;
    // What is common to all threadgroups has to be known before what follows from it.
    for (Instruction* quotient : find_common_quotients(function_, positions_, width_))
      steps_known_[quotient] = 0;
    if (find_neighbouring_gathers(function_, positions_, width_).empty())
      return nullptr;
    do {
      steps_.emplace(steps_known_, width_);
      find_varying();
      if (failed_)
        return nullptr;
    } while (flatten_one());
    if (failed_)
      return nullptr;
    emit();
    if (failed_ || made_->getInstructionCount() > kMost) {
      made_->eraseFromParent();
      return nullptr;
    }
    return made_;
  }

 private:
  // There is no new program.
  void fail() { failed_ = true; }

  // ------------------------------------------------------------------ what differs

  bool find_sources() {
    const std::optional<ContextUses> of_threadgroup = uses_of_context(*function_.getArg(1));
    const std::optional<ContextUses> of_simdgroup = uses_of_context(*function_.getArg(2));
    if (!of_threadgroup || !of_simdgroup || !of_threadgroup->calls.empty() ||
        !of_simdgroup->calls.empty())
      return false;
    for (const auto& [offset, load] : of_threadgroup->loads) {
      if (offset == offsetof(ThreadgroupContext, memory) && is_interleaved_)
        memories_.insert(load);
      else if (offset == offsetof(ThreadgroupContext, memory))
        steps_known_[load] = static_cast<std::int64_t>(stride_);
      else if (!load->getType()->isIntegerTy(32))
        return false; // several words in one
      else if (offset == offsetof(ThreadgroupContext, position))
        positions_[load] = steps_known_[load] = 1;
    }
    for (const auto& [offset, load] : of_simdgroup->loads) {
      if (offset != offsetof(SimdgroupState, shared))
        return false;
      steps_known_[load] = kSharedMemory;
    }
    return true;
  }

  // By how much a value is more in each threadgroup than in the one before.
  std::optional<std::int64_t> step(Value* value) { return steps_->of(value); }

  // The variable that a pointer leads into, or the load of the address of threadgroup memory, if
  // that is laid out like one.
  Instruction* variable_of(Value* pointer) const {
    if (auto* lanes = llvm::dyn_cast<llvm::GetElementPtrInst>(pointer))
      if (lanes->getType()->isVectorTy() && !lanes->getPointerOperandType()->isVectorTy())
        pointer = lanes->getPointerOperand();
    auto* object = llvm::dyn_cast<Instruction>(llvm::getUnderlyingObject(pointer, 0));
    return object && (llvm::isa<llvm::AllocaInst>(object) || memories_.contains(object)) ? object
                                                                                         : nullptr;
  }

  static bool is_masked_access(const Instruction& instruction) {
    const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
    return call && (call->getIntrinsicID() == llvm::Intrinsic::masked_load ||
                    call->getIntrinsicID() == llvm::Intrinsic::masked_gather ||
                    call->getIntrinsicID() == llvm::Intrinsic::masked_store);
  }

  void find_varying() {
    varying_.clear();
    aside_.clear();
    std::vector<Instruction*> open;
    auto put_aside = [&](Instruction& variable) {
      // Its loads differ from now on.
      std::vector<Instruction*> pointers{&variable};
      for (std::size_t i = 0; i < pointers.size(); ++i)
        for (llvm::User* user : pointers[i]->users()) {
          auto* instruction = llvm::cast<Instruction>(user);
          if (llvm::isa<llvm::GetElementPtrInst>(instruction)) {
            pointers.push_back(instruction);
          } else if (llvm::isa<llvm::LoadInst>(instruction) || is_masked_access(*instruction) ||
                     (llvm::isa<llvm::StoreInst>(instruction) &&
                      instruction->getOperand(0) != pointers[i])) {
            if (varying_.insert(instruction).second)
              open.push_back(instruction);
          } else if (!instruction->isLifetimeStartOrEnd()) {
            fail();
          }
        }
    };
    for (Instruction* memory : memories_) {
      aside_.insert(memory);
      put_aside(*memory);
    }
    auto add = [&](Instruction& instruction) {
      if (step(&instruction) != 0 && varying_.insert(&instruction).second)
        open.push_back(&instruction);
    };
    for (const auto& [source, by] : steps_known_)
      if (by != 0)
        add(*source);
    while (!open.empty()) {
      Instruction* next = open.back();
      open.pop_back();
      for (llvm::User* user : next->users())
        add(*llvm::cast<Instruction>(user));
      const bool is_masked = is_masked_access(*next) && next->getType()->isVoidTy();
      Instruction* variable = llvm::isa<llvm::StoreInst>(next) || is_masked
                                  ? variable_of(next->getOperand(1))
                                  : nullptr;
      if (variable && aside_.insert(variable).second)
        put_aside(*variable);
    }
  }

  bool is_varying(Value* value) const {
    auto* instruction = llvm::dyn_cast<Instruction>(value);
    return instruction && varying_.contains(instruction);
  }

  // True if there was a branch at which threadgroups part, which is none any more.
  bool flatten_one() {
    bool parts = false;
    for (llvm::BasicBlock& block : function_) {
      auto* branch = llvm::dyn_cast<llvm::BranchInst>(block.getTerminator());
      if (!branch || !branch->isConditional() || !is_varying(branch->getCondition()))
        continue;
      parts = true;
      if (const auto inner = blocks_to_flatten(block)) {
        flatten(block);
        return true;
      }
    }
    if (parts)
      fail();
    return false;
  }

  // ------------------------------------------------------------------ the new program

  void emit() {
    made_ = llvm::Function::Create(function_.getFunctionType(), llvm::GlobalValue::InternalLinkage,
                                   "widened", *function_.getParent());
    made_->copyAttributesFrom(&function_);
    for (unsigned i = 0; i < function_.arg_size(); ++i)
      base_[function_.getArg(i)] = made_->getArg(i);
    for (llvm::BasicBlock& block : function_)
      blocks_[&block] = llvm::BasicBlock::Create(made_->getContext(), block.getName(), made_);
    std::vector<llvm::PHINode*> phis;
    for (llvm::BasicBlock* block : llvm::ReversePostOrderTraversal<llvm::Function*>(&function_)) {
      for (Instruction& instruction : *block) {
        builder_.SetInsertPoint(blocks_[block]);
        if (auto* phi = llvm::dyn_cast<llvm::PHINode>(&instruction)) {
          start(*phi);
          phis.push_back(phi);
        } else if (is_aside(instruction)) {
          emit_aside(instruction);
        } else if (!is_varying(&instruction)) {
          copy(instruction);
        } else if (step(&instruction)) {
          copy(instruction);
        } else {
          if (llvm::isa<llvm::InsertElementInst, llvm::ShuffleVectorInst>(instruction) &&
              llvm::all_of(instruction.operands(),
                           [&](Value* operand) { return base(operand) != nullptr; }))
            copy(instruction);
          builder_.SetInsertPoint(blocks_[block]);
          widen(instruction);
        }
        if (failed_)
          return;
      }
    }
    for (llvm::PHINode* phi : phis)
      finish(*phi);
  }

  // As it is: of the first threadgroup, where a value differs by a step.
  void copy(Instruction& original) {
    if (llvm::isa<llvm::CallBase>(original) && !llvm::isa<llvm::IntrinsicInst>(original)) {
      fail();
      return;
    }
    Instruction* made = original.clone();
    for (llvm::Use& operand : made->operands())
      if (auto* block = llvm::dyn_cast<llvm::BasicBlock>(operand.get()))
        operand.set(blocks_[block]);
      else if (Value* value = base(operand.get()))
        operand.set(value);
      else
        fail();
    if (failed_) {
      made->deleteValue();
      return;
    }
    builder_.Insert(made);
    base_[&original] = made;
  }

  Value* base(Value* value) const {
    if (!llvm::isa<Instruction, llvm::Argument>(value))
      return value;
    return base_.lookup(value);
  }

  static unsigned count_of(llvm::Type* type) {
    const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
    return vector ? vector->getNumElements() : 1;
  }
  llvm::Type* wide_type(llvm::Type* type) const {
    return llvm::FixedVectorType::get(type->getScalarType(), width_);
  }

  // Where the builder has to be for what follows from a value of the new program alone.
  void go_behind(Value* value) {
    if (auto* instruction = llvm::dyn_cast<Instruction>(value)) {
      if (llvm::isa<llvm::PHINode>(instruction))
        builder_.SetInsertPoint(instruction->getParent(),
                                instruction->getParent()->getFirstInsertionPt());
      else
        builder_.SetInsertPoint(instruction->getParent(), std::next(instruction->getIterator()));
    } else {
      builder_.SetInsertPoint(&made_->getEntryBlock(),
                              made_->getEntryBlock().getFirstInsertionPt());
    }
  }

  // Element `lane` of a vector of lanes of the first threadgroup, or the value itself. Addresses
  // are computed as numbers: most of what they are made from is the same for all lanes.
  Value* element(Value* vector, unsigned lane) {
    if (!vector->getType()->isVectorTy())
      return vector;
    if (auto* constant = llvm::dyn_cast<llvm::Constant>(vector))
      if (llvm::Constant* found = constant->getAggregateElement(lane))
        return found;
    if (Value* same = splatted(vector))
      return same;
    auto* instruction = llvm::dyn_cast<Instruction>(vector);
    auto of = [&](unsigned i) { return element(instruction->getOperand(i), lane); };
    Value* made = nullptr;
    if (auto* address = llvm::dyn_cast_or_null<llvm::GetElementPtrInst>(instruction)) {
      if (address->getNumIndices() == 1)
        made = builder_.CreateGEP(address->getSourceElementType(), of(0), of(1));
    } else if (auto* cast = llvm::dyn_cast_or_null<llvm::CastInst>(instruction)) {
      if (llvm::isa<llvm::SExtInst, llvm::ZExtInst, llvm::TruncInst>(cast))
        made = builder_.CreateCast(cast->getOpcode(), of(0), cast->getType()->getScalarType());
    } else if (auto* binary = llvm::dyn_cast_or_null<llvm::BinaryOperator>(instruction)) {
      if (binary->getType()->isIntOrIntVectorTy() && !binary->isIntDivRem())
        made = builder_.CreateBinOp(binary->getOpcode(), of(0), of(1));
    } else if (auto* comparison = llvm::dyn_cast_or_null<llvm::ICmpInst>(instruction)) {
      made = builder_.CreateICmp(comparison->getPredicate(), of(0), of(1));
    }
    if (!made)
      return builder_.CreateExtractElement(vector, lane);
    if (auto* result = llvm::dyn_cast<Instruction>(made);
        result && result->getOpcode() == instruction->getOpcode())
      result->copyIRFlags(instruction);
    return made;
  }

  // What is the same for all threadgroups, of lane `lane`, where that is computed best as vectors:
  // a mask is a comparison of vectors.
  Value* wide_mask(Value* mask, unsigned lane) {
    auto* instruction = llvm::dyn_cast<Instruction>(mask);
    if (!instruction || !mask->getType()->isVectorTy() ||
        !mask->getType()->getScalarType()->isIntegerTy(1))
      return nullptr;
    if (auto* comparison = llvm::dyn_cast<llvm::CmpInst>(instruction))
      return builder_.CreateCmp(comparison->getPredicate(), wide(comparison->getOperand(0), lane),
                                wide(comparison->getOperand(1), lane));
    if (auto* binary = llvm::dyn_cast<llvm::BinaryOperator>(instruction))
      return builder_.CreateBinOp(binary->getOpcode(), wide(binary->getOperand(0), lane),
                                  wide(binary->getOperand(1), lane));
    return nullptr;
  }

  // Lane `lane` of a value, of all threadgroups.
  Value* wide(Value* value, unsigned lane) {
    if (value->getType()->isVectorTy() && lane >= count_of(value->getType())) {
      fail();
      return llvm::PoisonValue::get(wide_type(value->getType()));
    }
    if (const auto found = wide_.find(value); found != wide_.end() && found->second[lane])
      return found->second[lane];
    Value* own = base(value);
    if (!own) {
      fail();
      return llvm::PoisonValue::get(wide_type(value->getType()));
    }
    const llvm::IRBuilder<>::InsertPointGuard guard(builder_);
    go_behind(own);
    const std::int64_t by = is_varying(value) ? step(value).value_or(0) : 0;
    Value* made = by == 0 ? wide_mask(value, lane) : nullptr;
    Value* first = made ? nullptr : element(own, lane);
    if (!made && by == 0)
      made = builder_.CreateVectorSplat(width_, first);
    else if (!made && first->getType()->isPointerTy())
      made = builder_.CreatePtrAdd(first, offsets(builder_.getInt64Ty(), by));
    else if (!made)
      made = builder_.CreateAdd(builder_.CreateVectorSplat(width_, first),
                                offsets(first->getType(), by));
    std::vector<Value*>& lanes = wide_[value];
    lanes.resize(count_of(value->getType()));
    lanes[lane] = made;
    return made;
  }

  llvm::Constant* offsets(llvm::Type* type, std::int64_t by) const {
    llvm::SmallVector<llvm::Constant*, kMostThreadgroups> all;
    for (unsigned k = 0; k < width_; ++k)
      all.push_back(llvm::ConstantInt::getSigned(type, by * k));
    return llvm::ConstantVector::get(all);
  }

  // ------------------------------------------------------------------ phis

  void start(llvm::PHINode& phi) {
    if (!is_varying(&phi)) {
      base_[&phi] = builder_.CreatePHI(phi.getType(), phi.getNumIncomingValues());
      return;
    }
    if (phi.getType()->isPointerTy())
      fail();
    std::vector<Value*>& lanes = wide_[&phi];
    for (unsigned i = 0; i < count_of(phi.getType()); ++i)
      lanes.push_back(builder_.CreatePHI(wide_type(phi.getType()), phi.getNumIncomingValues()));
  }

  void finish(llvm::PHINode& phi) {
    for (unsigned k = 0; k < phi.getNumIncomingValues(); ++k) {
      llvm::BasicBlock* from = blocks_[phi.getIncomingBlock(k)];
      Value* incoming = phi.getIncomingValue(k);
      if (Value* own = base_.lookup(&phi)) {
        Value* value = base(incoming);
        if (!value)
          fail();
        else
          llvm::cast<llvm::PHINode>(own)->addIncoming(value, from);
        continue;
      }
      for (unsigned i = 0; i < count_of(phi.getType()); ++i)
        llvm::cast<llvm::PHINode>(wide_[&phi][i])->addIncoming(wide(incoming, i), from);
    }
  }

  // ------------------------------------------------------------------ what is put aside

  bool is_aside(Instruction& instruction) const {
    if (aside_.contains(&instruction))
      return true;
    auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(&instruction);
    Instruction* variable = address ? variable_of(address) : nullptr;
    return variable && aside_.contains(variable);
  }

  // Elements of all threadgroups lie side by side: every distance is so many times as long.
  void emit_aside(Instruction& instruction) {
    if (memories_.contains(&instruction)) {
      copy(instruction);
      places_[&instruction] = base(&instruction);
      return;
    }
    if (auto* variable = llvm::dyn_cast<llvm::AllocaInst>(&instruction)) {
      const std::optional<llvm::TypeSize> size = variable->getAllocationSize(layout_);
      if (!size || (put_aside_ += size->getFixedValue() * width_) > kMostAside) {
        fail();
        return;
      }
      llvm::AllocaInst* made = builder_.CreateAlloca(
          llvm::ArrayType::get(builder_.getInt8Ty(), size->getFixedValue() * width_));
      made->setAlignment(std::max(variable->getAlign(), llvm::Align(64)));
      places_[variable] = made;
      return;
    }
    auto& address = llvm::cast<llvm::GetElementPtrInst>(instruction);
    Value* from = places_.lookup(address.getPointerOperand());
    if (!from) {
      fail();
      return;
    }
    if (address.getType()->isVectorTy()) {
      place_lanes(address, *from);
      return;
    }
    llvm::APInt distance(64, 0);
    Value* offset = nullptr;
    if (address.accumulateConstantOffset(layout_, distance)) {
      offset = builder_.getInt64(distance.getSExtValue() * width_);
    } else if (Value* index = base(address.getOperand(address.getNumOperands() - 1));
               index && address.getNumIndices() == 1 && !is_varying(&address)) {
      const llvm::TypeSize size = layout_.getTypeAllocSize(address.getSourceElementType());
      offset = builder_.CreateMul(builder_.CreateSExtOrTrunc(index, builder_.getInt64Ty()),
                                  builder_.getInt64(size.getFixedValue() * width_));
    } else {
      fail();
      return;
    }
    places_[&address] = builder_.CreatePtrAdd(from, offset);
  }

  // Which of the kernel's threadgroup variables a pointer leads into, if that is its memory.
  std::size_t part_of(Value* pointer, const Instruction& root) {
    std::int64_t offset = 0;
    while (pointer != &root) {
      auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(pointer);
      llvm::APInt distance(64, 0);
      if (!address) {
        fail();
        return 0;
      }
      if (address->accumulateConstantOffset(layout_, distance))
        offset += distance.getSExtValue();
      pointer = address->getPointerOperand();
    }
    if (!memories_.contains(&root))
      return 0;
    if (offset < 0)
      fail();
    std::size_t part = 0;
    for (const auto& [variable, begin] : variables_)
      part += static_cast<std::int64_t>(begin) <= offset;
    return part;
  }

  // All that lies in a variable has elements of one size, or they would not lie where they are
  // looked for.
  void know_size(Value* pointer, std::uint64_t size) {
    Instruction* root = variable_of(pointer);
    std::uint64_t& known = sizes_[{root, part_of(pointer, *root)}];
    if (known != 0 && known != size)
      fail();
    known = size;
  }

  // Lanes that read each other's, as a permutation does.
  void place_lanes(llvm::GetElementPtrInst& address, Value& from) {
    const auto size = static_cast<std::int64_t>(
        layout_.getTypeAllocSize(address.getSourceElementType()).getFixedValue());
    if (address.getNumIndices() != 1) {
      fail();
      return;
    }
    know_size(&address, static_cast<std::uint64_t>(size));
    Value* index = address.getOperand(1);
    llvm::Type* type = builder_.getInt64Ty();
    const bool is_splat = splatted(index) != nullptr;
    for (unsigned i = 0; i < count_of(address.getType()); ++i) {
      if (i > 0 && is_splat) {
        set(address, i, wide_[&address][0]);
        continue;
      }
      Value* offset =
          builder_.CreateMul(builder_.CreateSExtOrTrunc(wide(index, i), wide_type(type)),
                             llvm::ConstantInt::getSigned(wide_type(type), size * width_));
      set(address, i,
          builder_.CreatePtrAdd(&from, builder_.CreateAdd(offset, offsets(type, size))));
    }
  }

  // ------------------------------------------------------------------ memory

  // Where an element of all threadgroups lies: side by side from `first` on, or at `all`.
  struct Place {
    Value* first = nullptr;
    Value* all = nullptr;
    bool is_common = false; // one place for all
  };

  // Of the element `index` of what lies at `pointer`, or at lane `lane` of a vector of pointers.
  Place place_of(Value* pointer, llvm::Type* type, unsigned index, unsigned lane) {
    const std::uint64_t size = layout_.getTypeAllocSize(type->getScalarType()).getFixedValue();
    Place place;
    if (Value* aside = places_.lookup(pointer)) {
      know_size(pointer, size);
      place.first =
          builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), aside, index * size * width_);
      return place;
    }
    if (Value* own = base(pointer)) {
      const std::int64_t by = is_varying(pointer) ? step(pointer).value_or(0) : 0;
      Value* first = element(own, lane);
      if (index != 0)
        first = builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), first, index * size);
      place.is_common = by == 0;
      if (by == 0 || by == static_cast<std::int64_t>(size))
        place.first = first;
      else
        place.all = builder_.CreatePtrAdd(first, offsets(builder_.getInt64Ty(), by));
      return place;
    }
    place.all = wide(pointer, lane);
    if (index != 0)
      place.all = builder_.CreatePtrAdd(
          place.all, builder_.CreateVectorSplat(width_, builder_.getInt64(index * size)));
    return place;
  }

  // Of a mask that is put aside: a bit for each threadgroup.
  Value* place_of_bits(Instruction& access, Value* pointer, unsigned lane) {
    Value* aside = places_.lookup(pointer);
    llvm::Type* type = llvm::getLoadStoreType(&access);
    if (!aside || !type->getScalarType()->isIntegerTy(1)) {
      fail();
      return llvm::PoisonValue::get(builder_.getPtrTy());
    }
    know_size(pointer, ~std::uint64_t{0});
    return builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), aside, lane * width_ / 8);
  }

  static bool is_all_true(Value* mask) {
    const auto* constant = llvm::dyn_cast<llvm::Constant>(mask);
    return constant && constant->isAllOnesValue();
  }

  // `mask`: of all threadgroups.
  Value* load(const Place& place, llvm::Type* type, llvm::Align align, Value* mask,
              Value* otherwise, const Instruction& original) {
    llvm::Type* wide = wide_type(type);
    Instruction* made = nullptr;
    if (place.is_common) {
      made = builder_.CreateMaskedGather(wide, builder_.CreateVectorSplat(width_, place.first),
                                         align, mask, otherwise);
    } else if (!place.first) {
      made = builder_.CreateMaskedGather(wide, place.all, align, mask, otherwise);
    } else if (is_all_true(mask)) {
      made = builder_.CreateAlignedLoad(wide, place.first, align);
    } else {
      made = builder_.CreateMaskedLoad(wide, place.first, align, mask, otherwise);
    }
    made->copyMetadata(original, {llvm::LLVMContext::MD_invariant_load});
    return made;
  }

  // All threadgroups do it or none. A masked load of memory that is not there is slow even if the
  // mask is empty: the launch's memory is read instead.
  Value* load_if(Value* condition, Place place, llvm::Type* type, llvm::Align align,
                 llvm::IntrinsicInst& call, unsigned lane) {
    place.first = builder_.CreateSelect(condition, place.first, made_->getArg(0));
    Value* loaded = load(place, type, std::min(align, llvm::Align(alignof(LaunchContext))),
                         all_true(), nullptr, call);
    Value* otherwise = wide(call.getArgOperand(3), lane);
    return llvm::isa<llvm::PoisonValue>(otherwise)
               ? loaded
               : builder_.CreateSelect(condition, loaded, otherwise);
  }

  void store(const Place& place, Value* value, llvm::Align align, Value* mask) {
    if (place.is_common) {
      // The last one's stays.
      if (is_all_true(mask))
        builder_.CreateAlignedStore(builder_.CreateExtractElement(value, width_ - 1), place.first,
                                    align);
      else
        fail();
    } else if (!place.first) {
      builder_.CreateMaskedScatter(value, place.all, align, mask);
    } else if (is_all_true(mask)) {
      builder_.CreateAlignedStore(value, place.first, align);
    } else {
      builder_.CreateMaskedStore(value, place.first, align, mask);
    }
  }

  // Lanes that lie side by side in memory would be gathered one by one.
  // Those of a threadgroup's own memory are, if there are few: sums of simdgroups.
  void refuse_lanes(const Place& place, unsigned count, Value* pointer) {
    if (count == 1 || place.first)
      return;
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(llvm::getUnderlyingObject(pointer, 0));
    const bool is_own =
        load && load->getPointerOperand() != function_.getArg(0) &&
        llvm::getUnderlyingObject(load->getPointerOperand(), 0) != function_.getArg(0);
    if (!is_own || ++apart_ > kMostApart)
      fail();
  }

  llvm::Constant* all_true() {
    return llvm::ConstantInt::getTrue(llvm::FixedVectorType::get(builder_.getInt1Ty(), width_));
  }

  static bool is_const_false(Value* mask) {
    const auto* constant = llvm::dyn_cast<llvm::Constant>(mask);
    return constant && (constant->isNullValue() || llvm::isa<llvm::UndefValue>(constant));
  }

  bool widen_memory(Instruction& instruction) {
    auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
    if (auto* plain = llvm::dyn_cast<llvm::LoadInst>(&instruction)) {
      if (!plain->isSimple()) {
        fail();
        return true;
      }
      const unsigned count = count_of(plain->getType());
      if (has_bits(plain->getType())) {
        for (unsigned i = 0; i < count; ++i) {
          Value* bits = builder_.CreateLoad(builder_.getIntNTy(width_),
                                            place_of_bits(*plain, plain->getPointerOperand(), i));
          set(instruction, i, builder_.CreateBitCast(bits, wide_type(plain->getType())));
        }
        return true;
      }
      for (unsigned i = 0; i < count; ++i) {
        const Place place = place_of(plain->getPointerOperand(), plain->getType(), i, 0);
        refuse_lanes(place, count, plain->getPointerOperand());
        llvm::Type* type = wide_type(plain->getType());
        set(instruction, i,
            load(place, plain->getType(), align_of(plain->getAlign(), plain->getType(), count),
                 all_true(), llvm::PoisonValue::get(type), instruction));
      }
      return true;
    }
    if (auto* plain = llvm::dyn_cast<llvm::StoreInst>(&instruction)) {
      llvm::Type* type = plain->getValueOperand()->getType();
      if (!plain->isSimple()) {
        fail();
        return true;
      }
      const unsigned count = count_of(type);
      if (has_bits(type)) {
        for (unsigned i = 0; i < count; ++i)
          builder_.CreateStore(
              builder_.CreateBitCast(wide(plain->getValueOperand(), i), builder_.getIntNTy(width_)),
              place_of_bits(*plain, plain->getPointerOperand(), i));
        return true;
      }
      for (unsigned i = 0; i < count; ++i) {
        const Place place = place_of(plain->getPointerOperand(), type, i, 0);
        refuse_lanes(place, count, plain->getPointerOperand());
        store(place, wide(plain->getValueOperand(), i), align_of(plain->getAlign(), type, count),
              all_true());
      }
      return true;
    }
    if (!call)
      return false;
    const auto id = call->getIntrinsicID();
    const bool is_load = id == llvm::Intrinsic::masked_load || id == llvm::Intrinsic::masked_gather;
    const bool is_store =
        id == llvm::Intrinsic::masked_store || id == llvm::Intrinsic::masked_scatter;
    if (!is_load && !is_store)
      return false;
    const bool has_pointers =
        id == llvm::Intrinsic::masked_gather || id == llvm::Intrinsic::masked_scatter;
    const unsigned shift = is_store ? 1 : 0;
    Value* pointer = call->getArgOperand(shift);
    const llvm::Align given =
        llvm::cast<llvm::ConstantInt>(call->getArgOperand(1 + shift))->getAlignValue();
    Value* mask = call->getArgOperand(2 + shift);
    llvm::Type* type = is_load ? call->getType() : call->getArgOperand(0)->getType();
    if (has_bits(type)) {
      fail();
      return true;
    }
    const unsigned count = count_of(type);
    const llvm::Align align = align_of(given, type, has_pointers ? 1 : count);
    Place before;
    for (unsigned i = 0; i < count; ++i) {
      // A lane that never takes part.
      Value* own = base(mask);
      if (own && !is_varying(mask) && is_const_false(element(own, i))) {
        if (is_load)
          set(instruction, i, wide(call->getArgOperand(3), i));
        continue;
      }
      Place place = place_of(pointer, type, has_pointers ? 0 : i, has_pointers ? i : 0);
      if (is_load && place.first && !place.is_common && own && !is_varying(mask) &&
          !llvm::isa<llvm::Constant>(own)) {
        set(instruction, i, load_if(element(own, i), place, type, align, *call, i));
        continue;
      }
      Value* of_all = wide(mask, i);
      // One place for all lanes.
      if (is_load && i > 0 && place.all && place.all == before.all && is_all_true(of_all)) {
        set(instruction, i, wide_[&instruction][i - 1]);
        continue;
      }
      before = place;
      if (!has_pointers || !variable_of(pointer))
        refuse_lanes(place, count, pointer);
      if (is_load)
        set(instruction, i,
            load(place, type, align, of_all, wide(call->getArgOperand(3), i), instruction));
      else
        store(place, wide(call->getArgOperand(0), i), align, of_all);
    }
    return true;
  }

  bool has_bits(llvm::Type* type) const {
    return type->getScalarSizeInBits() % 8 != 0 && !type->getScalarType()->isPointerTy();
  }

  // Of a single element.
  llvm::Align align_of(llvm::Align given, llvm::Type* type, unsigned count) const {
    return count == 1
               ? given
               : std::min(
                     given,
                     llvm::commonAlignment(
                         given, layout_.getTypeAllocSize(type->getScalarType()).getFixedValue()));
  }

  // ------------------------------------------------------------------ operations

  void set(Instruction& instruction, unsigned lane, Value* value) {
    std::vector<Value*>& lanes = wide_[&instruction];
    lanes.resize(count_of(instruction.getType()));
    lanes[lane] = value;
  }

  void widen(Instruction& instruction) {
    if (widen_memory(instruction))
      return;
    switch (instruction.getOpcode()) {
    case Instruction::InsertElement:
    case Instruction::ExtractElement:
    case Instruction::ShuffleVector:
      return widen_movement(instruction);
    case Instruction::BitCast:
      return widen_bits(instruction);
    case Instruction::Call:
      return widen_call(llvm::cast<llvm::CallInst>(instruction));
    case Instruction::ICmp:
      if (widen_vote(llvm::cast<llvm::ICmpInst>(instruction)))
        return;
      break;
    default:
      break;
    }
    const bool is_plain =
        llvm::isa<llvm::BinaryOperator, llvm::UnaryOperator, llvm::CastInst, llvm::CmpInst,
                  llvm::SelectInst, llvm::FreezeInst, llvm::GetElementPtrInst>(instruction);
    if (!is_plain) {
      fail();
      return;
    }
    for (unsigned i = 0; i < count_of(instruction.getType()); ++i)
      set(instruction, i, element_of(instruction, i));
  }

  Value* element_of(Instruction& instruction, unsigned lane) {
    auto operand = [&](unsigned i) {
      Value* value = instruction.getOperand(i);
      return wide(value, value->getType()->isVectorTy() ? lane : 0);
    };
    Value* made = nullptr;
    if (auto* binary = llvm::dyn_cast<llvm::BinaryOperator>(&instruction))
      made = builder_.CreateBinOp(binary->getOpcode(), operand(0), operand(1));
    else if (auto* unary = llvm::dyn_cast<llvm::UnaryOperator>(&instruction))
      made = builder_.CreateUnOp(unary->getOpcode(), operand(0));
    else if (auto* cast = llvm::dyn_cast<llvm::CastInst>(&instruction))
      made = builder_.CreateCast(cast->getOpcode(), operand(0), wide_type(cast->getType()));
    else if (auto* comparison = llvm::dyn_cast<llvm::CmpInst>(&instruction))
      made = builder_.CreateCmp(comparison->getPredicate(), operand(0), operand(1));
    else if (llvm::isa<llvm::SelectInst>(instruction))
      made = builder_.CreateSelect(operand(0), operand(1), operand(2));
    else if (llvm::isa<llvm::FreezeInst>(instruction))
      made = builder_.CreateFreeze(operand(0));
    else if (auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(&instruction)) {
      llvm::SmallVector<Value*, 4> indices;
      for (unsigned i = 1; i < address->getNumOperands(); ++i)
        indices.push_back(operand(i));
      made = builder_.CreateGEP(address->getSourceElementType(), operand(0), indices);
    }
    if (auto* result = llvm::dyn_cast_or_null<Instruction>(made))
      result->copyIRFlags(&instruction);
    return made;
  }

  void widen_movement(Instruction& instruction) {
    const unsigned count = count_of(instruction.getType());
    if (auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(&instruction)) {
      const int first = static_cast<int>(count_of(shuffle->getOperand(0)->getType()));
      for (unsigned i = 0; i < count; ++i) {
        const int from = shuffle->getMaskValue(i);
        set(instruction, i,
            from < 0       ? llvm::PoisonValue::get(wide_type(instruction.getType()))
            : from < first ? wide(shuffle->getOperand(0), static_cast<unsigned>(from))
                           : wide(shuffle->getOperand(1), static_cast<unsigned>(from - first)));
      }
      return;
    }
    const bool is_insert = llvm::isa<llvm::InsertElementInst>(instruction);
    Value* index = instruction.getOperand(is_insert ? 2 : 1);
    Value* vector = instruction.getOperand(0);
    const auto* place = llvm::dyn_cast<llvm::ConstantInt>(index);
    if (is_insert) {
      for (unsigned i = 0; i < count; ++i) {
        Value* before = place && place->getZExtValue() != i ? wide(vector, i) : nullptr;
        if (!place)
          before =
              builder_.CreateSelect(builder_.CreateICmpEQ(wide(index, 0), lane_number(index, i)),
                                    wide(instruction.getOperand(1), 0), wide(vector, i));
        set(instruction, i, before ? before : wide(instruction.getOperand(1), 0));
      }
      return;
    }
    if (place) {
      set(instruction, 0, wide(vector, static_cast<unsigned>(place->getZExtValue())));
      return;
    }
    // Each threadgroup has an element of its own.
    Value* found = wide(vector, 0);
    for (unsigned i = 1; i < count_of(vector->getType()); ++i)
      found = builder_.CreateSelect(builder_.CreateICmpEQ(wide(index, 0), lane_number(index, i)),
                                    wide(vector, i), found);
    set(instruction, 0, found);
  }

  Value* lane_number(Value* index, unsigned lane) {
    return llvm::ConstantInt::get(wide_type(index->getType()), lane);
  }

  // Masks as numbers, numbers as masks, and what only changes the type.
  void widen_bits(Instruction& instruction) {
    Value* operand = instruction.getOperand(0);
    llvm::Type* from = operand->getType();
    llvm::Type* to = instruction.getType();
    const unsigned count = count_of(to);
    if (count_of(from) == count) {
      for (unsigned i = 0; i < count; ++i)
        set(instruction, i, builder_.CreateBitCast(wide(operand, i), wide_type(to)));
    } else if (from->getScalarType()->isIntegerTy(1) && count == 1 && to->isIntegerTy()) {
      Value* bits = llvm::Constant::getNullValue(wide_type(to));
      for (unsigned i = 0; i < count_of(from); ++i)
        bits = builder_.CreateOr(
            bits,
            builder_.CreateSelect(
                wide(operand, i),
                llvm::ConstantInt::get(wide_type(to), llvm::APInt::getOneBitSet(count_of(from), i)),
                llvm::Constant::getNullValue(wide_type(to))));
      set(instruction, 0, bits);
    } else if (to->getScalarType()->isIntegerTy(1) && from->isIntegerTy()) {
      for (unsigned i = 0; i < count; ++i)
        set(instruction, i,
            builder_.CreateTrunc(builder_.CreateLShr(wide(operand, 0), i), wide_type(to)));
    } else {
      fail();
    }
  }

  // Whether any lane, or all of them, have it.
  bool widen_vote(llvm::ICmpInst& comparison) {
    namespace pattern = llvm::PatternMatch;
    Value* mask = nullptr;
    if (!comparison.isEquality() ||
        !pattern::match(comparison.getOperand(0), pattern::m_BitCast(pattern::m_Value(mask))) ||
        !mask->getType()->isVectorTy() || !mask->getType()->getScalarType()->isIntegerTy(1))
      return false;
    const bool is_none = pattern::match(comparison.getOperand(1), pattern::m_Zero());
    if (!is_none && !pattern::match(comparison.getOperand(1), pattern::m_AllOnes()))
      return false;
    Value* all = wide(mask, 0);
    for (unsigned i = 1; i < count_of(mask->getType()); ++i)
      all =
          is_none ? builder_.CreateOr(all, wide(mask, i)) : builder_.CreateAnd(all, wide(mask, i));
    const bool is_equal = comparison.getPredicate() == llvm::ICmpInst::ICMP_EQ;
    set(comparison, 0, is_none == is_equal ? builder_.CreateNot(all) : all);
    return true;
  }

  void widen_call(llvm::CallInst& call) {
    auto* intrinsic = llvm::dyn_cast<llvm::IntrinsicInst>(&call);
    const auto id = intrinsic ? intrinsic->getIntrinsicID() : llvm::Intrinsic::not_intrinsic;
    if (id == llvm::Intrinsic::lifetime_start || id == llvm::Intrinsic::lifetime_end ||
        id == llvm::Intrinsic::assume || id == llvm::Intrinsic::prefetch)
      return;
    if (id == llvm::Intrinsic::x86_avx512_mask_scalef_ps_512)
      return widen_scaling(call);
    if (!llvm::isTriviallyVectorizable(id)) {
      fail();
      return;
    }
    for (unsigned i = 0; i < count_of(call.getType()); ++i) {
      llvm::SmallVector<Value*, 4> arguments;
      llvm::SmallVector<llvm::Type*, 3> types;
      if (llvm::isVectorIntrinsicWithOverloadTypeAtArg(id, -1))
        types.push_back(wide_type(call.getType()));
      for (unsigned k = 0; k < call.arg_size(); ++k) {
        Value* argument = call.getArgOperand(k);
        const bool is_scalar = llvm::isVectorIntrinsicWithScalarOpAtArg(id, k);
        Value* value =
            is_scalar ? base(argument) : wide(argument, argument->getType()->isVectorTy() ? i : 0);
        if (!value) {
          fail();
          return;
        }
        arguments.push_back(value);
        if (llvm::isVectorIntrinsicWithOverloadTypeAtArg(id, static_cast<int>(k)))
          types.push_back(value->getType());
      }
      Value* made = builder_.CreateIntrinsic(id, types, arguments);
      if (auto* result = llvm::dyn_cast<Instruction>(made))
        result->copyIRFlags(&call);
      set(call, i, made);
    }
  }

  // The machine's instruction, of sixteen lanes with all of them.
  void widen_scaling(llvm::CallInst& call) {
    const auto* mask = llvm::dyn_cast<llvm::ConstantInt>(call.getArgOperand(3));
    if (!mask || !mask->isMinusOne()) {
      fail();
      return;
    }
    for (unsigned i = 0; i < count_of(call.getType()); ++i) {
      Value* value = wide(call.getArgOperand(0), i);
      Value* exponent = wide(call.getArgOperand(1), i);
      Value* made =
          width_ == 8 ? builder_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_scalef_ps_256, {},
                                                 {value, exponent, value, builder_.getInt8(0xff)})
                      : builder_.CreateIntrinsic(
                            llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
                            {value, exponent, value, call.getArgOperand(3), call.getArgOperand(4)});
      set(call, i, made);
    }
  }

  llvm::Function& function_;
  const unsigned width_; // threadgroups
  const bool is_interleaved_;
  llvm::ArrayRef<std::pair<llvm::GlobalVariable*, std::uint64_t>> variables_; // with their places
  const std::uint64_t stride_;
  const llvm::DataLayout& layout_;
  llvm::IRBuilder<> builder_;
  llvm::DenseMap<Instruction*, std::int64_t> positions_;
  llvm::DenseMap<Instruction*, std::int64_t> steps_known_;
  std::optional<Steps> steps_;
  llvm::DenseSet<Instruction*> varying_;
  llvm::DenseSet<Instruction*> memories_; // loads of the address of interleaved memory
  llvm::DenseSet<Instruction*> aside_;    // what is there differs
  llvm::Function* made_ = nullptr;
  llvm::DenseMap<llvm::BasicBlock*, llvm::BasicBlock*> blocks_;
  llvm::DenseMap<Value*, Value*> base_;              // common, or of the first threadgroup
  llvm::DenseMap<Value*, std::vector<Value*>> wide_; // by lane
  llvm::DenseMap<Value*, Value*> places_;            // pointers into variables that differ
  std::map<std::pair<Instruction*, std::size_t>, std::uint64_t>
      sizes_;                   // of the elements in them, in bytes
  std::uint64_t put_aside_ = 0; // bytes
  unsigned apart_ = 0;          // lanes
  bool failed_ = false;
};

} // namespace

static bool widen(llvm::Function& function, const ThreadgroupLayout& layout, unsigned width,
                  bool is_interleaved) {
  llvm::ValueToValueMapTy values;
  llvm::Function* copy = llvm::CloneFunction(&function, values);
  llvm::Function* made = Widener(*copy, layout, width, is_interleaved).run();
  copy->eraseFromParent();
  if (!made)
    return false;
  const llvm::GlobalValue::LinkageTypes linkage = function.getLinkage();
  function.deleteBody();
  function.setLinkage(linkage);
  function.splice(function.begin(), made);
  for (unsigned i = 0; i < function.arg_size(); ++i)
    made->getArg(i)->replaceAllUsesWith(function.getArg(i));
  made->eraseFromParent();
  return true;
}

unsigned widen_threadgroups(llvm::Function& function, const ThreadgroupLayout& layout,
                            unsigned multiple) {
  for (unsigned width = kMostThreadgroups; width >= kThreadgroupsTogether; width /= 2)
    if (multiple % width == 0 && width * (llvm::alignTo(layout.size, 64) + 64) <= kMemoryTogether &&
        (widen(function, layout, width, true) || widen(function, layout, width, false)))
      return width;
  return 1;
}

} // namespace metalwright::simt
