// Work-item loops around the parts between barriers, for simdgroups instead of work-items
// (Jääskeläinen et al., "pocl: A Performance-Portable OpenCL Implementation", 2015, section 4).
#include "simt/split_at_barriers.h"

#include "simt/launch.h"
#include "simt/side_by_side.h"
#include "simt/simdgroup_state.h"
#include "simt/stride_loops.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/DenseSet.h>
#include <llvm/ADT/PostOrderIterator.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/PostDominators.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace metalwright::simt {

namespace {

// What all simdgroups put aside, in bytes: it lies on a stack.
constexpr std::uint64_t kMostMemory = 512 * 1024;
// A value that so many instructions compute is computed again rather than put aside.
constexpr unsigned kCheap = 8;
constexpr llvm::Align kAlignment = llvm::Align::Constant<64>();

bool is_invariant_load(const llvm::Instruction& instruction) {
  const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
  return load && load->isSimple() && load->hasMetadata(llvm::LLVMContext::MD_invariant_load);
}

class Splitter {
 public:
  Splitter(llvm::Function& function, const Shape& shape, std::uint64_t registers)
      : registers_(registers), function_(function), layout_(function.getParent()->getDataLayout()),
        builder_(function.getContext()), threads_(shape.count()),
        count_((shape.count() + kSimdgroupSize - 1) / kSimdgroupSize) {}

  bool run() {
    std::optional<StateUses> uses = uses_of_state(function_);
    if (!uses || uses->barriers.empty())
      return false;
    uses_ = std::move(*uses);
    cuts_ = uses_.barriers;
    for (llvm::CallInst* cut : cuts_in(function_))
      cuts_.push_back(cut);
    if (!barriers_are_in_line() || !memory_suffices())
      return false;
    cut();
    find_shared_results();
    find_different();
    build_loops();
    const llvm::PostDominatorTree post_dominators(function_);
    for (Region& region : regions_)
      hoist(region, post_dominators);
    place_variables();
    find_threadgroup_writes();
    // The last one first: what is computed again is so from values as they were before.
    for (Region& region : llvm::reverse(regions_))
      connect(region);
    for (llvm::Instruction* instruction : dead_)
      instruction->eraseFromParent();
    for (const Region& region : regions_)
      if (region.is_stride && threads_ % kSimdgroupSize == 0)
        join(region);
    return true;
  }

 private:
  // What stands between two barriers. `first` is its first block, which no other region enters but
  // through `head`; `last` ends it.
  struct Region {
    llvm::BasicBlock* first = nullptr;
    llvm::BasicBlock* last = nullptr;
    bool follows_barrier = false;          // and not a cut at another place
    bool is_stride = false;                // the rounds of a loop that all threads go round alike
    std::vector<llvm::BasicBlock*> blocks; // in an order in which definitions come first
    llvm::BasicBlock* before = nullptr;    // runs once
    llvm::BasicBlock* head = nullptr;      // runs for each simdgroup, has its index
    llvm::PHINode* index = nullptr;
    llvm::DenseMap<llvm::Instruction*, llvm::Value*> known; // values of other regions, in `head`
    std::vector<llvm::Instruction*> writes;                 // that threadgroup memory may see
  };

  // ------------------------------------------------------------------ whether it can be cut

  bool barriers_are_in_line() {
    const llvm::DominatorTree dominators(function_);
    const llvm::PostDominatorTree post_dominators(function_);
    const llvm::LoopInfo loops(dominators);
    unsigned ends = 0;
    for (llvm::BasicBlock& block : function_) {
      if (!dominators.isReachableFromEntry(&block) ||
          !llvm::isa<llvm::BranchInst, llvm::ReturnInst>(block.getTerminator()))
        return false;
      ends += llvm::isa<llvm::ReturnInst>(block.getTerminator());
    }
    const auto is_in_line = [&](const llvm::CallInst* barrier) {
      return !loops.getLoopFor(barrier->getParent()) &&
             post_dominators.dominates(barrier->getParent(), &function_.getEntryBlock());
    };
    if (ends != 1 || !llvm::all_of(uses_.barriers, is_in_line))
      return false;
    if (!llvm::all_of(cuts_, is_in_line))
      cuts_ = uses_.barriers;
    llvm::sort(cuts_, [&](const llvm::CallInst* a, const llvm::CallInst* b) {
      return a != b && dominators.dominates(a, b);
    });
    return true;
  }

  // Of the variables; how much is put aside is known later, and a value is small.
  bool memory_suffices() {
    std::uint64_t bytes = 0;
    for (llvm::Instruction& instruction : llvm::instructions(function_))
      if (auto* variable = llvm::dyn_cast<llvm::AllocaInst>(&instruction)) {
        const std::optional<llvm::TypeSize> size = variable->getAllocationSize(layout_);
        if (!variable->isStaticAlloca() || !size)
          return false;
        bytes += llvm::alignTo(size->getFixedValue(), variable->getAlign()) * count_;
        variables_.push_back(variable);
      }
    return bytes <= kMostMemory;
  }

  void cut() {
    regions_.resize(1);
    regions_[0].first = &function_.getEntryBlock();
    for (llvm::CallInst* barrier : cuts_) {
      llvm::BasicBlock* before = barrier->getParent();
      Region next;
      next.first = llvm::SplitBlock(before, barrier->getIterator());
      regions_.back().last = before;
      next.follows_barrier = barrier->getCalledFunction()->getName() != kCutFunction;
      next.is_stride = !next.follows_barrier &&
                       llvm::cast<llvm::ConstantInt>(barrier->getArgOperand(0))->isOne();
      regions_.push_back(std::move(next));
      barrier->eraseFromParent();
    }
    for (llvm::BasicBlock& block : function_)
      if (auto* end = llvm::dyn_cast<llvm::ReturnInst>(block.getTerminator())) {
        end_ = llvm::SplitBlock(&block, end->getIterator());
        regions_.back().last = &block;
        break;
      }
    const llvm::DominatorTree dominators(function_);
    for (llvm::BasicBlock* block : llvm::ReversePostOrderTraversal<llvm::Function*>(&function_)) {
      if (block == end_)
        continue;
      std::size_t region = regions_.size() - 1;
      while (!dominators.dominates(regions_[region].first, block))
        --region;
      regions_[region].blocks.push_back(block);
      region_of_[block] = region;
    }
  }

  // ------------------------------------------------------------------ what differs

  // Loads of what the first simdgroup has computed for all (shared_loops.h). Behind the loop it
  // does not change any more.
  void find_shared_results() {
    const std::optional<ContextUses> state = uses_of_context(*function_.getArg(2));
    for (const auto& [offset, memory] : state->loads) {
      if (offset != offsetof(SimdgroupState, shared))
        continue;
      std::vector<std::pair<llvm::Value*, std::uint64_t>> open{{memory, 0}};
      while (!open.empty()) {
        const auto [pointer, place] = open.back();
        open.pop_back();
        for (llvm::User* user : pointer->users()) {
          auto* load = llvm::dyn_cast<llvm::LoadInst>(user);
          auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(user);
          llvm::APInt distance(64, place);
          if (load && load->isSimple())
            shared_results_[load] = place;
          else if (address && address->getPointerOperand() == pointer &&
                   address->accumulateConstantOffset(layout_, distance))
            open.emplace_back(address, distance.getZExtValue());
        }
      }
    }
  }

  bool is_shared_result(const llvm::Value* value) const {
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(value);
    return load && shared_results_.contains(load);
  }

  // In a region behind that of the loop.
  llvm::Value* reload(Region& region, llvm::Instruction& result) {
    llvm::Value*& made = region.known[&result];
    if (made)
      return made;
    llvm::Type* pointer = builder_.getPtrTy();
    if (!shared_) {
      builder_.SetInsertPoint(start_->getTerminator());
      shared_ = builder_.CreateLoad(
          pointer, builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), function_.getArg(2),
                                                       offsetof(SimdgroupState, shared)));
    }
    const auto* load = llvm::cast<llvm::LoadInst>(&result);
    builder_.SetInsertPoint(region.before->getTerminator());
    llvm::Instruction* again =
        builder_.CreateAlignedLoad(result.getType(),
                                   builder_.CreateConstInBoundsGEP1_64(
                                       builder_.getInt8Ty(), shared_, shared_results_.lookup(load)),
                                   load->getAlign());
    once_.insert(again);
    return made = again;
  }

  // From one simdgroup to the next: the index, private memory, what has an effect or may see that
  // of another instruction, and all that follows from these.
  void find_different() {
    std::vector<llvm::Instruction*> open;
    auto add = [&](llvm::Instruction& instruction) {
      if (different_.insert(&instruction).second)
        open.push_back(&instruction);
    };
    bool was_written = false; // in another region, since the barrier
    for (Region& region : regions_) {
      const llvm::DenseSet<llvm::BasicBlock*> written = written_before(region);
      was_written = was_written && !region.follows_barrier;
      bool writes = false;
      for (llvm::BasicBlock* block : region.blocks) {
        bool is_written = was_written || written.contains(block);
        for (llvm::Instruction& instruction : *block) {
          const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
          const bool sees_writes = instruction.mayReadFromMemory() && is_written &&
                                   !is_invariant_load(instruction) &&
                                   !is_shared_result(&instruction);
          if (llvm::isa<llvm::AllocaInst>(instruction) || instruction.mayHaveSideEffects() ||
              (load && !load->isSimple()) || sees_writes ||
              (llvm::isa<llvm::CallBase>(instruction) &&
               !llvm::isa<llvm::IntrinsicInst>(instruction)))
            add(instruction);
          is_written |= instruction.mayWriteToMemory();
          writes |= instruction.mayWriteToMemory();
        }
      }
      was_written |= writes;
    }
    for (llvm::Instruction* load : uses_.indices)
      add(*load);
    for (llvm::Instruction* load : uses_.lanes)
      add(*load);
    llvm::DominatorTree dominators(function_);
    const llvm::LoopInfo loops(dominators);
    std::vector<bool> parts(regions_.size());
    while (!open.empty()) {
      llvm::Instruction* next = open.back();
      open.pop_back();
      for (llvm::User* user : next->users())
        add(*llvm::cast<llvm::Instruction>(user));
      const auto found = region_of_.find(next->getParent());
      if (!next->isTerminator() || found == region_of_.end() || parts[found->second])
        continue;
      // Simdgroups part here: by which way they came, and how often they went round a loop, is what
      // phis and the loops' values depend on.
      parts[found->second] = true;
      for (llvm::BasicBlock* block : regions_[found->second].blocks)
        for (llvm::Instruction& instruction : *block)
          if (llvm::isa<llvm::PHINode>(instruction) || loops.getLoopFor(block))
            add(instruction);
    }
  }

  // The blocks of a region at whose start something may have been written since the barrier.
  static llvm::DenseSet<llvm::BasicBlock*> written_before(const Region& region) {
    llvm::DenseSet<llvm::BasicBlock*> found;
    std::vector<llvm::BasicBlock*> open;
    auto leave = [&](llvm::BasicBlock* block) {
      if (block == region.last)
        return;
      for (llvm::BasicBlock* next : llvm::successors(block))
        if (found.insert(next).second)
          open.push_back(next);
    };
    for (llvm::BasicBlock* block : region.blocks)
      if (llvm::any_of(*block, [](const llvm::Instruction& i) { return i.mayWriteToMemory(); }))
        leave(block);
    while (!open.empty()) {
      llvm::BasicBlock* next = open.back();
      open.pop_back();
      leave(next);
    }
    return found;
  }

  // ------------------------------------------------------------------ the loops

  void build_loops() {
    llvm::LLVMContext& context = function_.getContext();
    start_ = llvm::BasicBlock::Create(context, "start", &function_, regions_[0].first);
    for (Region& region : regions_) {
      region.before = llvm::BasicBlock::Create(context, "region", &function_, region.first);
      region.head = llvm::BasicBlock::Create(context, "simdgroup", &function_, region.first);
    }
    for (std::size_t i = 0; i < regions_.size(); ++i) {
      Region& region = regions_[i];
      llvm::BasicBlock* next = i + 1 < regions_.size() ? regions_[i + 1].before : end_;
      llvm::BasicBlock* latch = llvm::BasicBlock::Create(context, "next", &function_, next);
      builder_.SetInsertPoint(region.before);
      builder_.CreateBr(region.head);
      builder_.SetInsertPoint(region.head);
      region.index = builder_.CreatePHI(builder_.getInt32Ty(), 2, "simdgroup.index");
      builder_.CreateBr(region.first);
      region.last->getTerminator()->setSuccessor(0, latch);
      builder_.SetInsertPoint(latch);
      llvm::Value* following =
          builder_.CreateAdd(region.index, builder_.getInt32(1), "", true, true);
      builder_.CreateCondBr(builder_.CreateICmpULT(following, builder_.getInt32(count_)),
                            region.head, next);
      region.index->addIncoming(builder_.getInt32(0), region.before);
      region.index->addIncoming(following, latch);
    }
    builder_.SetInsertPoint(start_);
    builder_.CreateBr(regions_[0].before);
  }

  // Moves what is the same for all simdgroups, and is computed in any case or may be, out of the
  // loop over them.
  void hoist(Region& region, const llvm::PostDominatorTree& post_dominators) {
    for (llvm::BasicBlock* block : region.blocks) {
      const bool runs_always = post_dominators.dominates(block, region.first);
      for (llvm::Instruction& instruction : llvm::make_early_inc_range(*block)) {
        if (instruction.isTerminator() || llvm::isa<llvm::PHINode>(instruction) ||
            different_.contains(&instruction) || is_shared_result(&instruction) ||
            !(runs_always || llvm::isSafeToSpeculativelyExecute(&instruction)))
          continue;
        const bool is_known = llvm::all_of(instruction.operands(), [&](const llvm::Use& operand) {
          const auto* value = llvm::dyn_cast<llvm::Instruction>(operand.get());
          return !value || once_.contains(value) ||
                 (is_shared_result(value) && !is_here(region, *value));
        });
        if (!is_known)
          continue;
        for (llvm::Use& operand : instruction.operands())
          if (is_shared_result(operand.get()))
            operand.set(reload(region, *llvm::cast<llvm::Instruction>(operand.get())));
        instruction.moveBefore(region.before->getTerminator());
        once_.insert(&instruction);
      }
    }
  }

  // Private memory, once for each simdgroup.
  void place_variables() {
    for (llvm::AllocaInst* variable : variables_) {
      const std::uint64_t size = variable->getAllocationSize(layout_)->getFixedValue();
      strides_[variable] = llvm::alignTo(size, variable->getAlign());
      arrays_[variable] = reserve(strides_[variable] * count_, variable->getAlign());
      dead_.push_back(variable);
      for (llvm::User* user : variable->users())
        if (auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(user))
          if (call->isLifetimeStartOrEnd())
            dead_.insert(dead_.begin(), call);
    }
    dead_.insert(dead_.end(), uses_.indices.begin(), uses_.indices.end());
    dead_.insert(dead_.end(), uses_.lanes.begin(), uses_.lanes.end());
  }

  llvm::AllocaInst* reserve(std::uint64_t bytes, llvm::Align alignment) {
    builder_.SetInsertPoint(start_->getTerminator());
    llvm::AllocaInst* made =
        builder_.CreateAlloca(llvm::ArrayType::get(builder_.getInt8Ty(), bytes));
    made->setAlignment(std::max(alignment, kAlignment));
    return made;
  }

  // ------------------------------------------------------------------ values across barriers

  // Operands from other regions become what is known of them in this one.
  void connect(Region& region) {
    for (llvm::BasicBlock* block : region.blocks)
      for (llvm::Instruction& instruction : *block)
        for (llvm::Use& operand : instruction.operands())
          if (auto* value = llvm::dyn_cast<llvm::Instruction>(operand.get()))
            operand.set(value_in(region, *value));
  }

  bool is_here(const Region& region, const llvm::Instruction& value) const {
    const auto found = region_of_.find(value.getParent());
    return found != region_of_.end() && &regions_[found->second] == &region;
  }

  bool is_special(llvm::Instruction& value) const {
    return llvm::isa<llvm::AllocaInst>(value) || llvm::is_contained(uses_.indices, &value) ||
           llvm::is_contained(uses_.lanes, &value);
  }

  llvm::Value* value_in(Region& region, llvm::Instruction& value) {
    // What was made here has no region: it stands in a block of ours.
    if (once_.contains(&value) ||
        (!is_special(value) && (is_here(region, value) || !region_of_.contains(value.getParent()))))
      return &value;
    if (const auto found = region.known.find(&value); found != region.known.end())
      return found->second;
    if (is_shared_result(&value))
      return reload(region, value);
    llvm::Value* made = nullptr;
    if (llvm::is_contained(uses_.indices, &value))
      made = region.index;
    else if (llvm::is_contained(uses_.lanes, &value))
      made = lanes_in(region);
    else if (auto* variable = llvm::dyn_cast<llvm::AllocaInst>(&value))
      made = element(region, *arrays_.lookup(variable), strides_.lookup(variable));
    else if (unsigned budget = kCheap; is_cheap(value, budget))
      made = again(region, value);
    else if (llvm::StoreInst* store = store_that_keeps(region, value))
      made = read_again(region, *store);
    else
      made = taken_up(region, value);
    region.known[&value] = made;
    return made;
  }

  llvm::IRBuilder<>& at_head(const Region& region) {
    builder_.SetInsertPoint(region.head->getTerminator());
    return builder_;
  }

  llvm::Value* element(const Region& region, llvm::Value& array, std::uint64_t stride) {
    llvm::IRBuilder<>& builder = at_head(region);
    llvm::Value* offset = builder.CreateMul(builder.CreateZExt(region.index, builder.getInt64Ty()),
                                            builder.getInt64(stride), "", true, true);
    return builder.CreateInBoundsGEP(builder.getInt8Ty(), &array, offset);
  }

  // Only the last simdgroup may have fewer threads than 32.
  llvm::Value* lanes_in(const Region& region) {
    llvm::IRBuilder<>& builder = at_head(region);
    const unsigned rest = threads_ - (count_ - 1) * kSimdgroupSize;
    return builder.CreateSelect(builder.CreateICmpEQ(region.index, builder.getInt32(count_ - 1)),
                                builder.getInt32(rest), builder.getInt32(kSimdgroupSize));
  }

  // Whether few instructions compute it from what every region has.
  bool is_cheap(llvm::Instruction& value, unsigned& budget) const {
    if (once_.contains(&value) || is_special(value) || is_shared_result(&value))
      return true;
    if (budget == 0 || llvm::isa<llvm::PHINode>(value) || llvm::isa<llvm::CallBase>(value) ||
        !(is_invariant_load(value) ||
          (!value.mayReadOrWriteMemory() && llvm::isSafeToSpeculativelyExecute(&value))))
      return false;
    --budget;
    return llvm::all_of(value.operands(), [&](const llvm::Use& operand) {
      auto* instruction = llvm::dyn_cast<llvm::Instruction>(operand.get());
      return !instruction || is_cheap(*instruction, budget);
    });
  }

  llvm::Value* again(Region& region, llvm::Instruction& value) {
    llvm::Instruction* made = value.clone();
    for (llvm::Use& operand : made->operands())
      if (auto* instruction = llvm::dyn_cast<llvm::Instruction>(operand.get()))
        operand.set(value_in(region, *instruction));
    made->insertBefore(region.head->getTerminator()->getIterator());
    return made;
  }

  // Whether memory is none that a threadgroup's threads share: a buffer, private memory, results.
  bool is_elsewhere(llvm::Value* address) const {
    const llvm::Value* object = llvm::getUnderlyingObject(address, 0);
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(object);
    if (!load)
      return llvm::isa<llvm::AllocaInst>(object);
    const llvm::Value* context = llvm::getUnderlyingObject(load->getPointerOperand(), 0);
    return context == function_.getArg(2) ||
           (context == function_.getArg(0) && is_invariant_load(*load));
  }

  void find_threadgroup_writes() {
    for (Region& region : regions_)
      for (llvm::BasicBlock* block : region.blocks)
        for (llvm::Instruction& instruction : *block) {
          const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction);
          const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
          llvm::Value* address = store ? instruction.getOperand(1)
                                 : call && call->getIntrinsicID() == llvm::Intrinsic::masked_store
                                     ? call->getArgOperand(1)
                                     : nullptr;
          if (instruction.mayWriteToMemory() && !(address && is_elsewhere(address)) &&
              !instruction.isLifetimeStartOrEnd())
            region.writes.push_back(&instruction);
        }
  }

  // The store of a value to threadgroup memory, where it still lies in a later region: no other
  // thread may write there before a barrier, and behind it none writes to such memory at all.
  llvm::StoreInst* store_that_keeps(const Region& region, llvm::Instruction& value) {
    const std::size_t owner = region_of_.lookup(value.getParent());
    const auto user = static_cast<std::size_t>(&region - regions_.data());
    for (llvm::User* of_value : value.users()) {
      auto* store = llvm::dyn_cast<llvm::StoreInst>(of_value);
      if (!store || !store->isSimple() || store->getValueOperand() != &value ||
          store->getParent() != value.getParent() || is_elsewhere(store->getPointerOperand()))
        continue;
      bool is_alone = regions_[owner].writes.size() == 1 && regions_[owner].writes[0] == store;
      for (std::size_t i = owner + 1; i <= user; ++i)
        is_alone &= regions_[i].writes.empty();
      auto* address = llvm::dyn_cast<llvm::Instruction>(store->getPointerOperand());
      if (unsigned budget = kCheap; is_alone && address && is_cheap(*address, budget))
        return store;
    }
    return nullptr;
  }

  llvm::Value* read_again(Region& region, llvm::StoreInst& store) {
    llvm::Value* address =
        value_in(region, *llvm::cast<llvm::Instruction>(store.getPointerOperand()));
    return at_head(region).CreateAlignedLoad(store.getValueOperand()->getType(), address,
                                             store.getAlign());
  }

  // A value that its region puts aside for each simdgroup.
  llvm::Value* taken_up(Region& region, llvm::Instruction& value) {
    llvm::Type* type = value.getType();
    const llvm::Align alignment = layout_.getPrefTypeAlign(type);
    const std::uint64_t stride = llvm::alignTo(layout_.getTypeStoreSize(type), alignment);
    llvm::AllocaInst*& array = aside_[&value];
    if (!array) {
      array = reserve(stride * count_, alignment);
      Region& owner = regions_[region_of_.lookup(value.getParent())];
      llvm::Value* place = element(owner, *array, stride);
      builder_.SetInsertPoint(value.getParent(), llvm::isa<llvm::PHINode>(value)
                                                     ? value.getParent()->getFirstInsertionPt()
                                                     : std::next(value.getIterator()));
      builder_.CreateAlignedStore(&value, place, alignment);
    }
    llvm::Value* place = element(region, *array, stride);
    return builder_.CreateAlignedLoad(type, place, alignment);
  }

  // ------------------------------------------------------------------ simdgroups side by side

  // Several simdgroups go round the loop together, through memory in order. As many as leave half
  // of the registers to what is computed in a round.
  void join(const Region& region) {
    llvm::DominatorTree dominators(function_);
    std::uint64_t carried = 0; // bytes
    for (const llvm::Loop* loop : llvm::LoopInfo(dominators).getLoopsInPreorder())
      if (llvm::is_contained(region.blocks, loop->getHeader()))
        for (const llvm::PHINode& phi : loop->getHeader()->phis())
          if (phi.getType()->isVectorTy())
            carried += layout_.getTypeStoreSize(phi.getType());
    const auto value = [&](llvm::Instruction& index, unsigned k) -> llvm::Value* {
      if (k == 0)
        return &index;
      builder_.SetInsertPoint(index.getParent(), index.getParent()->getFirstInsertionPt());
      return builder_.CreateAdd(&index, builder_.getInt32(k), "", true, true);
    };
    SideBySide runs{function_, 8, {region.index}, value, {}};
    runs.blocks.push_back(region.head);
    runs.blocks.insert(runs.blocks.end(), region.blocks.begin(), region.blocks.end());
    for (; runs.count > 1; runs.count /= 2)
      if (count_ % runs.count == 0 && carried * runs.count <= registers_ / 2 &&
          join_side_by_side(runs)) {
        auto* next = llvm::cast<llvm::BinaryOperator>(region.index->getIncomingValue(1));
        next->setOperand(1, builder_.getInt32(runs.count));
        return;
      }
  }

  std::uint64_t registers_;
  llvm::Function& function_;
  const llvm::DataLayout& layout_;
  llvm::IRBuilder<> builder_;
  unsigned threads_;
  unsigned count_; // simdgroups
  StateUses uses_;
  std::vector<llvm::CallInst*> cuts_; // barriers and other places, in order
  std::vector<llvm::AllocaInst*> variables_;
  std::vector<Region> regions_;
  llvm::DenseMap<const llvm::BasicBlock*, std::size_t> region_of_;
  llvm::DenseSet<const llvm::Instruction*> different_;
  llvm::DenseMap<const llvm::LoadInst*, std::uint64_t> shared_results_; // where these lie
  llvm::Value* shared_ = nullptr;                                       // that memory
  llvm::DenseSet<const llvm::Instruction*> once_; // computed before a loop over simdgroups
  llvm::DenseMap<llvm::AllocaInst*, llvm::AllocaInst*> arrays_;
  llvm::DenseMap<llvm::AllocaInst*, std::uint64_t> strides_;
  llvm::DenseMap<llvm::Instruction*, llvm::AllocaInst*> aside_;
  std::vector<llvm::Instruction*> dead_; // users before what they use
  llvm::BasicBlock* start_ = nullptr;
  llvm::BasicBlock* end_ = nullptr;
};

} // namespace

bool split_at_barriers(llvm::Function& function, const Shape& shape, std::uint64_t registers) {
  if (!shape.is_known() || shape.count() <= kSimdgroupSize)
    return false;
  return Splitter(function, shape, registers).run();
}

} // namespace metalwright::simt
