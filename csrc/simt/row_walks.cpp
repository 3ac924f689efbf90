// Finds the walks by scalar evolution and the lanes' patterns, unrolls, then joins within blocks.
#include "simt/row_walks.h"

#include "simt/lane_analysis.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Analysis/AssumptionCache.h>
#include <llvm/Analysis/CaptureTracking.h>
#include <llvm/Analysis/OptimizationRemarkEmitter.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/ScalarEvolutionExpressions.h>
#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/Analysis/TargetTransformInfo.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/GetElementPtrTypeIterator.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/UnrollLoop.h>

#include <algorithm>
#include <optional>

namespace metalwright::simt {

namespace {

using llvm::Instruction;
using llvm::Value;

constexpr const char* kMark = "metalwright.walk"; // metadata of the accesses that may be joined
constexpr unsigned kPiece = 16;                   // bytes of an access that was joined
constexpr unsigned kLongest = 16;                 // rounds at a time
constexpr unsigned kLargest = 256;                // instructions of an unrolled body

unsigned element_size(const Instruction& access, const llvm::DataLayout& layout) {
  llvm::Type* type = llvm::getLoadStoreType(const_cast<Instruction*>(&access));
  if (!type->isIntegerTy() && !type->isFloatingPointTy())
    return 0;
  const std::uint64_t bits = layout.getTypeSizeInBits(type);
  return bits == 8 || bits == 16 || bits == 32 || bits == 64 ? static_cast<unsigned>(bits / 8) : 0;
}

bool is_plain_access(const Instruction& instruction) {
  if (const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction))
    return load->isSimple();
  const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction);
  return store && store->isSimple();
}

// Distances between addresses, also where an index of 32 bits is widened.
class Addresses {
 public:
  Addresses(llvm::ScalarEvolution& evolution, const llvm::DataLayout& layout, bool assumes)
      : evolution_(evolution), layout_(layout), assumes_(assumes) {}

  // Bytes by which an address grows in each round of the loop, if that is known.
  std::optional<std::int64_t> step(const Value* pointer, const llvm::Loop& loop) {
    const Parts parts = take_apart(pointer);
    if (parts.index && evolution_.isLoopInvariant(evolution_.getSCEV(parts.base), &loop))
      if (const std::optional<std::int64_t> elements = step(parts.index, loop))
        return *elements * parts.stride;
    return step(evolution_.getSCEV(const_cast<Value*>(pointer)), loop);
  }

  // Bytes from one address to another.
  std::optional<std::int64_t> distance(const Value* from, const Value* to) {
    const Parts a = take_apart(from);
    const Parts b = take_apart(to);
    if (a.base == b.base && !a.index && !b.index)
      return b.constant - a.constant;
    if (a.base == b.base && a.index && b.index && a.stride == b.stride &&
        a.extension == b.extension)
      if (const std::optional<std::int64_t> difference = minus(b.index, a.index))
        return *difference * a.stride + b.constant - a.constant;
    return minus(evolution_.getSCEV(const_cast<Value*>(to)),
                 evolution_.getSCEV(const_cast<Value*>(from)));
  }

 private:
  struct Parts {
    Value* base = nullptr;
    const llvm::SCEV* index = nullptr; // before it was widened
    unsigned extension = 0;
    std::int64_t stride = 0;
    std::int64_t constant = 0;
  };

  Parts take_apart(const Value* pointer) {
    Parts parts;
    llvm::APInt constant(64, 0);
    parts.base =
        const_cast<Value*>(pointer->stripAndAccumulateConstantOffsets(layout_, constant, true));
    const auto* gep = llvm::dyn_cast<llvm::GEPOperator>(parts.base);
    if (gep && gep->getNumIndices() == 1) {
      Value* index = *gep->idx_begin();
      const auto* cast = llvm::dyn_cast<llvm::CastInst>(index);
      if (assumes_ && cast && llvm::isa<llvm::ZExtInst, llvm::SExtInst>(cast) &&
          cast->getSrcTy()->isIntegerTy(32)) {
        parts.extension = cast->getOpcode();
        index = cast->getOperand(0);
      }
      if (index->getType()->isIntegerTy(64) || parts.extension != 0) {
        parts.index = evolution_.getSCEV(index);
        parts.stride =
            static_cast<std::int64_t>(layout_.getTypeAllocSize(gep->getSourceElementType()));
        parts.base = const_cast<Value*>(
            gep->getPointerOperand()->stripAndAccumulateConstantOffsets(layout_, constant, true));
      }
    }
    parts.constant = constant.getSExtValue();
    return parts;
  }

  std::optional<std::int64_t> step(const llvm::SCEV* value, const llvm::Loop& loop) {
    const auto* recurrence = llvm::dyn_cast<llvm::SCEVAddRecExpr>(value);
    if (!recurrence || recurrence->getLoop() != &loop || !recurrence->isAffine())
      return std::nullopt;
    return number(recurrence->getStepRecurrence(evolution_));
  }

  std::optional<std::int64_t> minus(const llvm::SCEV* a, const llvm::SCEV* b) {
    if (a->getType() != b->getType())
      return std::nullopt;
    const llvm::SCEV* difference = evolution_.getMinusSCEV(a, b);
    return number(difference);
  }

  static std::optional<std::int64_t> number(const llvm::SCEV* value) {
    const auto* constant = llvm::dyn_cast<llvm::SCEVConstant>(value);
    if (!constant || constant->getAPInt().getSignificantBits() > 32)
      return std::nullopt;
    return constant->getAPInt().getSExtValue();
  }

  llvm::ScalarEvolution& evolution_;
  const llvm::DataLayout& layout_;
  bool assumes_;
};

class RowWalks {
 public:
  RowWalks(llvm::Function& function, llvm::DominatorTree& dominators, llvm::LoopInfo& loops,
           bool large_buffers, Remarks& remarks)
      : remarks_(remarks), function_(function), dominators_(dominators), loops_(loops),
        large_buffers_(large_buffers), layout_(function.getParent()->getDataLayout()),
        library_(no_library()), assumptions_(function),
        evolution_(function, library_, assumptions_, dominators, loops),
        addresses_(evolution_, layout_, !large_buffers) {}

  bool run() {
    llvm::SmallVector<llvm::Loop*, 4> candidates;
    for (llvm::Loop* loop : loops_.getLoopsInPreorder())
      if (may_walk(*loop))
        candidates.push_back(loop);
    if (candidates.empty())
      return false;
    llvm::SmallVector<llvm::Loop*, 4> walks;
    {
      const LaneAnalysis lanes(function_, dominators_, loops_, large_buffers_);
      for (llvm::Loop* loop : candidates)
        if (mark(*loop, lanes))
          walks.push_back(loop);
    }
    bool changed = false;
    for (llvm::Loop* loop : walks)
      changed |= unroll(*loop);
    if (!changed)
      return false;
    evolution_.forgetAllLoops();
    for (llvm::BasicBlock& block : function_) {
      join<llvm::LoadInst>(block);
      join<llvm::StoreInst>(block);
    }
    return true;
  }

 private:
  static const llvm::TargetLibraryInfoImpl& no_functions() {
    static const llvm::TargetLibraryInfoImpl none = [] {
      llvm::TargetLibraryInfoImpl library;
      library.disableAllFunctions();
      return library;
    }();
    return none;
  }
  static llvm::TargetLibraryInfo no_library() { return llvm::TargetLibraryInfo(no_functions()); }

  bool walks(const Instruction& instruction, const llvm::Loop& loop) {
    if (!is_plain_access(instruction))
      return false;
    const unsigned size = element_size(instruction, layout_);
    return size != 0 &&
           addresses_.step(llvm::getLoadStorePointerOperand(&instruction), loop) == size;
  }

  // A short body that runs from end to end, a number of times that is known before.
  bool may_walk(llvm::Loop& loop) {
    if (loop.getNumBlocks() != 1 || loop.getHeader()->size() * 4 > kLargest)
      return false;
    bool walks = false;
    for (const Instruction& instruction : *loop.getHeader()) {
      const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
      if (call && (!llvm::isa<llvm::IntrinsicInst>(call) || call->isConvergent()))
        return false;
      walks |= this->walks(instruction, loop);
    }
    return walks && !llvm::isa<llvm::SCEVCouldNotCompute>(evolution_.getBackedgeTakenCount(&loop));
  }

  // Marks the accesses at which neighbouring lanes are far apart.
  bool mark(llvm::Loop& loop, const LaneAnalysis& lanes) {
    const auto* branch = llvm::cast<llvm::BranchInst>(loop.getHeader()->getTerminator());
    if (lanes.is_varying(branch->getCondition()))
      return false;
    bool any = false;
    for (Instruction& instruction : *loop.getHeader()) {
      if (!walks(instruction, loop))
        continue;
      const Value* pointer = llvm::getLoadStorePointerOperand(&instruction);
      if (!lanes.is_varying(pointer) || is_near(lanes.pattern(pointer), instruction))
        continue;
      instruction.setMetadata(kMark, llvm::MDNode::get(function_.getContext(), {}));
      any = true;
    }
    return any;
  }

  // Each element that some lane of a group accesses is next to one that another accesses.
  bool is_near(const Pattern& pattern, const Instruction& access) const {
    if (pattern.group == 0)
      return false;
    const std::int64_t size = element_size(access, layout_);
    for (unsigned i = 0; i < 32; ++i) {
      const bool is_first = i % pattern.group == 0;
      const std::int64_t step = is_first ? 0 : pattern.offset[i] - pattern.offset[i - 1];
      if (step > size || step < -size)
        return false;
    }
    return true;
  }

  bool unroll(llvm::Loop& loop) {
    const auto size = static_cast<unsigned>(loop.getHeader()->size());
    const unsigned rounds = evolution_.getSmallConstantTripCount(&loop);
    unsigned count = kLongest;
    while (count > 4 && count * size > kLargest)
      count /= 2;
    if (rounds != 0 && rounds <= count) {
      count = rounds;
    } else if (rounds != 0) {
      // Without a rest, if there are such.
      for (unsigned smaller = count; smaller >= 4; smaller /= 2)
        if (rounds % smaller == 0) {
          count = smaller;
          break;
        }
    }
    if (count < 2)
      return false;
    Remark remark = remark_at(
        loop.getStartLoc(),
        "a loop in which each thread walks along memory of its own: " + std::to_string(count) +
            " rounds at a time, neighbouring elements accessed together");
    llvm::UnrollLoopOptions options{};
    options.Count = count;
    options.Force = true;
    options.Runtime = true;
    options.AllowExpensiveTripCount = true;
    options.UnrollRemainder = false;
    options.ForgetAllSCEV = true;
    const llvm::TargetTransformInfo costs(layout_);
    llvm::OptimizationRemarkEmitter remarks(&function_);
    if (llvm::UnrollLoop(&loop, options, &loops_, &evolution_, &dominators_, &assumptions_, &costs,
                         &remarks, true) == llvm::LoopUnrollResult::Unmodified)
      return false;
    remarks_.push_back(std::move(remark));
    return true;
  }

  // ---------------------------------------------------------------------- joining

  struct Member {
    Instruction* access = nullptr;
    std::int64_t place = 0; // bytes from the family's first access
  };
  // Accesses of one type whose addresses differ by constants, in the order of the program.
  using Family = llvm::SmallVector<Member, 16>;

  template <typename Access> void join(llvm::BasicBlock& block) {
    llvm::SmallVector<Family, 4> families;
    for (Instruction& instruction : block)
      if (llvm::isa<Access>(instruction) && instruction.hasMetadata(kMark))
        add(families, instruction);
    for (Family& family : families)
      join(family);
  }

  void add(llvm::SmallVectorImpl<Family>& families, Instruction& instruction) {
    for (Family& family : families) {
      Instruction* first = family.front().access;
      if (llvm::getLoadStoreType(first) != llvm::getLoadStoreType(&instruction))
        continue;
      const std::optional<std::int64_t> place = addresses_.distance(
          llvm::getLoadStorePointerOperand(first), llvm::getLoadStorePointerOperand(&instruction));
      if (!place)
        continue;
      family.push_back({&instruction, *place});
      return;
    }
    families.push_back({{&instruction, 0}});
  }

  void join(Family& family) {
    Instruction* first = family.front().access;
    Value* root = const_cast<Value*>(llvm::getLoadStorePointerOperand(first));
    const bool reads = llvm::isa<llvm::LoadInst>(first); // it goes with the first piece
    const unsigned size = element_size(*first, layout_);
    const unsigned count = kPiece / size;
    llvm::stable_sort(family, [](const Member& a, const Member& b) { return a.place < b.place; });
    for (std::size_t begin = 0; begin + count <= family.size();) {
      llvm::ArrayRef<Member> piece(family.data() + begin, count);
      bool follow = true;
      for (unsigned i = 1; i < count; ++i)
        follow &= piece[i].place == piece[0].place + static_cast<std::int64_t>(i * size);
      if (!follow || !(reads ? join_loads(piece, root) : join_stores(piece, root)))
        ++begin;
      else
        begin += count;
    }
  }

  static llvm::Align align_of(llvm::ArrayRef<Member> piece) {
    llvm::Align align = llvm::getLoadStoreAlignment(piece[0].access);
    for (const Member& member : piece)
      align = std::min(align, llvm::getLoadStoreAlignment(member.access));
    return align;
  }

  static llvm::FixedVectorType* type_of(llvm::ArrayRef<Member> piece) {
    return llvm::FixedVectorType::get(llvm::getLoadStoreType(piece[0].access),
                                      static_cast<unsigned>(piece.size()));
  }

  // `root` is computed before the first access of the family, in the order of the program.
  bool join_loads(llvm::ArrayRef<Member> piece, Value* root) {
    Instruction* first = piece[0].access;
    for (const Member& member : piece)
      if (member.access->comesBefore(first))
        first = member.access;
    bool is_invariant = true;
    for (const Member& member : piece) {
      if (!may_pass(*member.access, *first, *member.access))
        return false;
      is_invariant &= member.access->hasMetadata(llvm::LLVMContext::MD_invariant_load);
    }
    llvm::IRBuilder<> builder(first);
    Value* address = builder.CreateConstGEP1_64(builder.getInt8Ty(), root,
                                                static_cast<std::uint64_t>(piece[0].place));
    llvm::LoadInst* whole = builder.CreateAlignedLoad(type_of(piece), address, align_of(piece));
    if (is_invariant)
      whole->setMetadata(llvm::LLVMContext::MD_invariant_load,
                         llvm::MDNode::get(function_.getContext(), {}));
    unsigned number = 0;
    for (const Member& member : piece) {
      builder.SetInsertPoint(member.access);
      member.access->replaceAllUsesWith(builder.CreateExtractElement(whole, number++));
      member.access->eraseFromParent();
    }
    return true;
  }

  bool join_stores(llvm::ArrayRef<Member> piece, Value* root) {
    Instruction* last = piece[0].access;
    for (const Member& member : piece)
      if (last->comesBefore(member.access))
        last = member.access;
    for (const Member& member : piece)
      if (!may_pass(*member.access, *member.access, *last))
        return false;
    llvm::IRBuilder<> builder(last);
    Value* whole = llvm::PoisonValue::get(type_of(piece));
    unsigned number = 0;
    for (const Member& member : piece)
      whole = builder.CreateInsertElement(
          whole, llvm::cast<llvm::StoreInst>(member.access)->getValueOperand(), number++);
    Value* address = builder.CreateConstGEP1_64(builder.getInt8Ty(), root,
                                                static_cast<std::uint64_t>(piece[0].place));
    builder.CreateAlignedStore(whole, address, align_of(piece));
    for (const Member& member : piece)
      member.access->eraseFromParent();
    return true;
  }

  // Whether an access may change places with everything from `begin` to `end`.
  bool may_pass(const Instruction& access, Instruction& begin, Instruction& end) {
    const bool reads = llvm::isa<llvm::LoadInst>(access);
    for (const Instruction& other : llvm::make_range(begin.getIterator(), end.getIterator())) {
      if (&other == &access)
        continue;
      if (!llvm::isGuaranteedToTransferExecutionToSuccessor(&other))
        return false;
      if (reads ? !other.mayWriteToMemory() : !other.mayReadOrWriteMemory())
        continue;
      if (reads && access.hasMetadata(llvm::LLVMContext::MD_invariant_load))
        continue;
      if (!reads && other.hasMetadata(llvm::LLVMContext::MD_invariant_load))
        continue;
      if (!is_plain_access(other) || !apart(access, other))
        return false;
    }
    return true;
  }

  // The two accesses touch different bytes.
  bool apart(const Instruction& one, const Instruction& other) {
    const Value* a = llvm::getLoadStorePointerOperand(&one);
    const Value* b = llvm::getLoadStorePointerOperand(&other);
    const auto size = [&](const Instruction& access) {
      return static_cast<std::int64_t>(
          layout_.getTypeStoreSize(llvm::getLoadStoreType(const_cast<Instruction*>(&access))));
    };
    if (const std::optional<std::int64_t> distance = addresses_.distance(a, b))
      return *distance >= size(one) || -*distance >= size(other);
    const Value* object = llvm::getUnderlyingObject(a, 12);
    const Value* other_object = llvm::getUnderlyingObject(b, 12);
    // A variable that only the lane knows, and what comes from elsewhere.
    const auto is_own = [](const Value* value) {
      return llvm::isa<llvm::AllocaInst>(value) && !llvm::PointerMayBeCaptured(value, true, true);
    };
    const auto is_identified = [](const Value* value) {
      return llvm::isa<llvm::AllocaInst, llvm::LoadInst>(value);
    };
    return object != other_object && is_identified(object) && is_identified(other_object) &&
           (is_own(object) || is_own(other_object));
  }

  Remarks& remarks_;
  llvm::Function& function_;
  llvm::DominatorTree& dominators_;
  llvm::LoopInfo& loops_;
  bool large_buffers_;
  const llvm::DataLayout& layout_;
  llvm::TargetLibraryInfo library_;
  llvm::AssumptionCache assumptions_;
  llvm::ScalarEvolution evolution_;
  Addresses addresses_;
};

} // namespace

bool join_row_walks(llvm::Function& lane, llvm::DominatorTree& dominators, llvm::LoopInfo& loops,
                    bool large_buffers, Remarks& remarks) {
  return RowWalks(lane, dominators, loops, large_buffers, remarks).run();
}

} // namespace metalwright::simt
