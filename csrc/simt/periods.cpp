// Finds what is divided, chooses the period, and puts the loop over runs around the loop over x.
#include "simt/periods.h"

#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/ScalarEvolutionExpressions.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/PatternMatch.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

namespace metalwright::simt {

namespace {

using llvm::BinaryOperator;
using llvm::Instruction;
using llvm::Value;

// An operation on a counter: a value that goes up by one from thread to thread and that is a
// multiple of the period where x is one.
struct Term {
  // passed: a step on the way to other terms, which stays as it is.
  // moved: the same counter from another place on, as x | 32 is.
  // comparison: whether it is less than `number`, or the opposite, where the kernel branches.
  enum class Kind { passed, quotient, remainder, moved, comparison };
  Instruction* instruction;
  int parent; // the term whose result is the counter; -1: x itself
  Kind kind;
  std::uint64_t number; // what it is divided by
  bool is_signed;
  // Its result may be negative, and then its multiples of the period are those of a number rounded
  // towards zero: only signed operations of it are counters or constants in a run.
  bool signed_only;
  // The result is a counter times 2^shift: InstCombine makes (x << 1) & ~63 of x / 32 * 64.
  int shift = 0;
};

// What things cost, in instructions of a vector of so many lanes, as measured on a Zen 4: an index
// by division with the load behind it, and a run's beginning and end.
constexpr double kLanes = 16;
constexpr double kGather = 40;
constexpr double kRun = 12;
// What is left of a body whose branches go one way in a run: else both ways are taken with masks.
constexpr double kOneWay = 0.6;

// 2^31 itself would be negative as a signed divisor; what is larger divides nothing.
constexpr std::uint64_t kLargest = std::uint64_t{1} << 30;

class Terms {
 public:
  explicit Terms(llvm::PHINode& x) { collect(x, -1, false); }

  // The period with which the loop is cheapest; 0: it is best as it is.
  std::uint64_t choose(unsigned body, unsigned least) const {
    std::vector<std::uint64_t> candidates;
    for (const Term& one : terms_)
      for (const Term& other : terms_)
        candidates.push_back(std::gcd(one.number, other.number));
    std::sort(candidates.begin(), candidates.end());
    candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
    std::uint64_t best = 0;
    double lowest = body + kGather * gathers(std::vector<bool>(terms_.size()));
    for (const std::uint64_t period : candidates) {
      if (period < least)
        continue;
      // The vectoriser takes the narrowest vectors that hold a run; those cost more per thread.
      const auto threads = static_cast<double>(period);
      const double lanes = period > 8   ? std::ceil(threads / kLanes) * kLanes
                           : period > 4 ? 8 * 1.3
                                        : 4 * 2.0;
      const std::vector<bool> solved = solve(period);
      const double cost =
          lanes / threads * (body * (parts(solved) ? kOneWay : 1) + kGather * gathers(solved)) +
          kLanes * kRun / threads;
      if (cost < lowest) {
        best = period;
        lowest = cost;
      }
    }
    return best;
  }

  // Which terms a run makes constants or counters.
  std::vector<bool> solve(std::uint64_t period) const {
    std::vector<bool> solved(terms_.size());
    for (std::size_t i = 0; i < terms_.size(); ++i)
      solved[i] = (terms_[i].parent < 0 || solved[static_cast<std::size_t>(terms_[i].parent)]) &&
                  terms_[i].number % period == 0; // 0 for what is passed
    return solved;
  }

  const std::vector<Term>& all() const { return terms_; }

 private:
  unsigned gathers(const std::vector<bool>& solved) const {
    unsigned count = 0;
    for (std::size_t i = 0; i < terms_.size(); ++i)
      count += !solved[i] && terms_[i].kind != Term::Kind::passed &&
               terms_[i].kind != Term::Kind::comparison;
    return count;
  }

  bool parts(const std::vector<bool>& solved) const {
    for (std::size_t i = 0; i < terms_.size(); ++i)
      if (solved[i] && terms_[i].kind == Term::Kind::comparison)
        return true;
    return false;
  }

  // What a remainder, which is not negative, is compared with where the kernel branches.
  static bool describe_comparison(Value& counter, Term& term) {
    const auto* comparison = llvm::dyn_cast<llvm::ICmpInst>(term.instruction);
    if (!comparison || term.signed_only || comparison->getOperand(0) != &counter ||
        !llvm::any_of(comparison->users(),
                      [](const llvm::User* user) { return llvm::isa<llvm::BranchInst>(user); }))
      return false;
    const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(comparison->getOperand(1));
    if (!constant || !constant->getValue().isStrictlyPositive() ||
        constant->getValue().uge(kLargest))
      return false;
    const std::uint64_t number = constant->getZExtValue();
    switch (comparison->getPredicate()) {
    case llvm::ICmpInst::ICMP_ULT:
    case llvm::ICmpInst::ICMP_SLT:
      term.number = number;
      break;
    case llvm::ICmpInst::ICMP_UGT:
    case llvm::ICmpInst::ICMP_SGT:
      term.number = number + 1;
      break;
    default:
      return false;
    }
    term.kind = Term::Kind::comparison;
    return true;
  }

  // Whether the counter is a remainder, perhaps widened.
  bool is_remainder(int term) const {
    while (term >= 0 && terms_[static_cast<std::size_t>(term)].kind == Term::Kind::passed &&
           terms_[static_cast<std::size_t>(term)].shift == 0)
      term = terms_[static_cast<std::size_t>(term)].parent;
    return term >= 0 && terms_[static_cast<std::size_t>(term)].kind == Term::Kind::remainder;
  }

  void collect(Value& counter, int parent, bool signed_only) {
    for (llvm::User* user : counter.users()) {
      auto* instruction = llvm::cast<Instruction>(user);
      Term term{instruction, parent, Term::Kind::passed, 0, false, signed_only};
      if (is_remainder(parent) && describe_comparison(counter, term)) {
        terms_.push_back(term);
        continue;
      }
      if (!describe(counter, term) || (signed_only && !term.is_signed))
        continue;
      terms_.push_back(term);
      const int index = static_cast<int>(terms_.size()) - 1;
      if (term.kind == Term::Kind::remainder || term.kind == Term::Kind::moved ||
          (term.kind == Term::Kind::passed && term.shift == 0))
        collect(*instruction, index, term.signed_only);
      else if (term.kind == Term::Kind::passed)
        collect_masks(*instruction, index, term.shift);
      else if (instruction->getOpcode() == Instruction::LShr && has_mask(*instruction)) {
        terms_.push_back({instruction, parent, Term::Kind::passed, 0, false, false});
        collect_masks(*instruction, index + 1, -static_cast<int>(llvm::Log2_64(term.number)));
      }
    }
  }

  static bool has_mask(const Value& value) {
    return llvm::any_of(value.users(), [](const llvm::User* user) {
      const auto* operation = llvm::dyn_cast<BinaryOperator>(user);
      return operation && operation->getOpcode() == BinaryOperator::And;
    });
  }

  // Of a counter that was shifted to the left, or (shift < 0) to the right: where bits below a
  // place are masked out, quotients; where it is those above, remainders.
  void collect_masks(Value& shifted, int parent, int shift) {
    for (llvm::User* user : shifted.users()) {
      auto* operation = llvm::dyn_cast<BinaryOperator>(user);
      const auto* mask = operation && operation->getOpcode() == BinaryOperator::And
                             ? llvm::dyn_cast<llvm::ConstantInt>(operation->getOperand(1))
                             : nullptr;
      if (!mask || mask->isZero())
        continue;
      const llvm::APInt& bits = mask->getValue();
      const int low = static_cast<int>(bits.countr_zero()) - shift;
      const int high = static_cast<int>(bits.getActiveBits()) - shift;
      Term term{operation, parent, Term::Kind::quotient, 0, false, false, shift};
      if (low > 0) {
        term.number = std::uint64_t{1} << std::min(30, low);
      } else if (shift > 0 && bits.countl_zero() > 0 && high > 0 && high <= 30 &&
                 bits.isShiftedMask() && low == 0) {
        term.kind = Term::Kind::remainder;
        term.number = std::uint64_t{1} << high;
      } else {
        continue;
      }
      terms_.push_back(term);
    }
  }

  static bool describe(Value& counter, Term& term) {
    if (llvm::isa<llvm::ZExtInst, llvm::SExtInst>(term.instruction)) {
      term.is_signed = term.signed_only = llvm::isa<llvm::SExtInst>(term.instruction);
      return true;
    }
    auto* operation = llvm::dyn_cast<BinaryOperator>(term.instruction);
    if (!operation || operation->getOperand(0) != &counter)
      return false;
    const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(operation->getOperand(1));
    if (!constant || constant->isZero())
      return false;
    const llvm::APInt& value = constant->getValue();
    const bool is_small = value.isStrictlyPositive() && value.ule(kLargest);
    switch (operation->getOpcode()) {
    case BinaryOperator::SDiv:
    case BinaryOperator::SRem:
      term.is_signed = true;
      [[fallthrough]];
    case BinaryOperator::UDiv:
    case BinaryOperator::URem:
      if (!is_small)
        return false;
      term.number = value.getZExtValue();
      term.kind = operation->getOpcode() == BinaryOperator::SDiv ||
                          operation->getOpcode() == BinaryOperator::UDiv
                      ? Term::Kind::quotient
                      : Term::Kind::remainder;
      term.signed_only |= operation->getOpcode() == BinaryOperator::SRem;
      return true;
    case BinaryOperator::Shl:
      term.shift = static_cast<int>(value.getLimitedValue(30));
      return has_mask(*operation);
    case BinaryOperator::LShr:
    case BinaryOperator::AShr: // rounds down: the unsigned multiples of 2^k
      if (value.ugt(30))
        return false;
      term.number = std::uint64_t{1} << value.getZExtValue();
      term.kind = Term::Kind::quotient;
      return true;
    case BinaryOperator::And:
      if (is_small && (value + 1).isPowerOf2()) {
        term.number = value.getZExtValue() + 1;
        term.kind = Term::Kind::remainder;
      } else {
        term.number = std::uint64_t{1} << std::min(30u, value.countr_zero());
        term.kind = Term::Kind::quotient; // times something
      }
      return true;
    case BinaryOperator::Or:
      // InstCombine makes it of x / 64 * 64 + 32 + x % 32.
      if (!is_small)
        return false;
      term.number = std::uint64_t{1} << value.countr_zero();
      term.kind = Term::Kind::moved;
      return true;
    default:
      return false;
    }
  }

  std::vector<Term> terms_;
};

class Splitter {
 public:
  Splitter(const ThreadLoop& loop, const Terms& terms, std::uint64_t period)
      : loop_(loop), terms_(terms.all()), solved_(terms.solve(period)), period_(period),
        header_(loop.count->getParent()), builder_(header_->getContext()) {}

  void split() {
    llvm::Function* function = header_->getParent();
    llvm::BasicBlock* exit = loop_.latch->getSuccessor(1);
    run_ = llvm::BasicBlock::Create(builder_.getContext(), "run", function, header_);
    auto* run_end = llvm::BasicBlock::Create(builder_.getContext(), "run.end", function, exit);
    loop_.before->getTerminator()->replaceSuccessorWith(header_, run_);

    builder_.SetInsertPoint(run_);
    llvm::PHINode* done = builder_.CreatePHI(builder_.getInt32Ty(), 2, "done");
    done->addIncoming(builder_.getInt32(0), loop_.before);
    for (llvm::PHINode& phi : header_->phis()) {
      const int from = phi.getBasicBlockIndex(loop_.before);
      phi.setIncomingBlock(static_cast<unsigned>(from), run_);
      if (&phi != loop_.count)
        phi.setIncomingValue(static_cast<unsigned>(from),
                             builder_.CreateAdd(phi.getIncomingValue(static_cast<unsigned>(from)),
                                                done, "", true, true));
    }
    start_ = loop_.x->getIncomingValueForBlock(run_);
    llvm::Value* size = builder_.CreateBinaryIntrinsic(
        llvm::Intrinsic::umin, until_next(), builder_.CreateSub(loop_.limit, done, "", true));
    llvm::cast<llvm::ICmpInst>(loop_.latch->getCondition())->setOperand(1, size);
    loop_.latch->setSuccessor(1, run_end);
    replace_terms();
    builder_.CreateBr(header_);

    builder_.SetInsertPoint(run_end);
    llvm::Value* next = builder_.CreateAdd(done, size, "", true);
    done->addIncoming(next, run_end);
    builder_.CreateCondBr(builder_.CreateICmpULT(next, loop_.limit), run_, exit);
  }

  // What the kernel first branches on; null: there is nothing of the kind.
  Value* condition() const { return condition_; }
  llvm::BasicBlock* run() const { return run_; }

 private:
  // Threads from the run's first one to where the next run has to begin.
  llvm::Value* until_next() {
    llvm::Constant* period = builder_.getInt32(static_cast<std::uint32_t>(period_));
    llvm::Value* size = builder_.CreateSub(period, builder_.CreateURem(start_, period), "", true);
    bool is_signed = false;
    for (std::size_t i = 0; i < terms_.size(); ++i)
      is_signed |= solved_[i] && terms_[i].is_signed && terms_[i].kind != Term::Kind::passed;
    if (!is_signed)
      return size;
    // Signed division rounds towards zero: below zero, a run ends with a multiple.
    llvm::Value* rest = builder_.CreateSRem(start_, period);
    llvm::Value* to_multiple = builder_.CreateSelect(
        builder_.CreateICmpSLT(start_, builder_.getInt32(0)),
        builder_.CreateSub(builder_.getInt32(1), rest), builder_.CreateSub(period, rest));
    return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, size, to_multiple);
  }

  // A term of the run's first thread is the same operation on that thread's counter.
  void replace_terms() {
    std::vector<llvm::Value*> starts(terms_.size());
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      if (!solved_[i])
        continue;
      const Term& term = terms_[i];
      Instruction* first = term.instruction->clone();
      first->dropPoisonGeneratingFlags(); // `exact` held of another thread
      first->setDebugLoc({});
      first->setOperand(0,
                        term.parent < 0 ? start_ : starts[static_cast<std::size_t>(term.parent)]);
      builder_.Insert(first);
      starts[i] = first;
      if (term.kind == Term::Kind::comparison) {
        term.instruction->replaceAllUsesWith(less_than(*first, term.number));
      } else if (term.kind == Term::Kind::quotient) {
        term.instruction->replaceAllUsesWith(first);
      } else if (term.kind != Term::Kind::passed) {
        auto* counter = llvm::PHINode::Create(first->getType(), 2, "", header_->begin());
        counter->addIncoming(first, run_);
        auto* next = BinaryOperator::CreateAdd(
            counter, llvm::ConstantInt::get(counter->getType(), std::uint64_t{1} << term.shift), "",
            loop_.latch->getIterator());
        next->setHasNoSignedWrap(true);
        next->setHasNoUnsignedWrap(!term.is_signed); // may go from -1 to 0
        counter->addIncoming(next, loop_.latch->getParent());
        term.instruction->replaceAllUsesWith(counter);
      }
    }
    for (std::size_t i = 0; i < terms_.size(); ++i)
      if (solved_[i] && terms_[i].kind != Term::Kind::passed)
        terms_[i].instruction->eraseFromParent();
  }

  // A comparison of the run's first thread, which all those of the same number have in common.
  Value* less_than(Instruction& comparison, std::uint64_t number) {
    const auto predicate = llvm::cast<llvm::ICmpInst>(comparison).getPredicate();
    const bool is_less =
        predicate == llvm::ICmpInst::ICMP_ULT || predicate == llvm::ICmpInst::ICMP_SLT;
    Value* counter = comparison.getOperand(0);
    while (auto* cast = llvm::dyn_cast<llvm::CastInst>(counter))
      counter = cast->getOperand(0);
    const std::pair<Value*, std::uint64_t> key{counter, number};
    Value*& less = less_[key];
    if (!less)
      less = builder_.CreateICmpULT(counter, llvm::ConstantInt::get(counter->getType(), number));
    if (!condition_)
      condition_ = less;
    return is_less ? less : builder_.CreateNot(less);
  }

  const ThreadLoop& loop_;
  const std::vector<Term>& terms_;
  const std::vector<bool> solved_;
  const std::uint64_t period_;
  llvm::BasicBlock* header_;
  llvm::BasicBlock* run_ = nullptr;
  llvm::Value* start_ = nullptr;
  std::map<std::pair<Value*, std::uint64_t>, Value*> less_; // of what comparisons come down to
  Value* condition_ = nullptr;
  llvm::IRBuilder<> builder_;
};

// A second loop for the runs where `condition`, which `run` computes, does not hold. Returns its
// latch.
llvm::BranchInst* part_loop(const ThreadLoop& loop, llvm::BasicBlock* run, Value* condition) {
  llvm::BasicBlock* header = loop.count->getParent();
  llvm::Function* function = header->getParent();
  std::vector<llvm::BasicBlock*> blocks{header};
  llvm::SmallPtrSet<llvm::BasicBlock*, 16> seen{header, loop.latch->getSuccessor(1)};
  for (std::size_t i = 0; i < blocks.size(); ++i)
    for (llvm::BasicBlock* next : llvm::successors(blocks[i]))
      if (seen.insert(next).second)
        blocks.push_back(next);
  llvm::ValueToValueMapTy values;
  llvm::SmallVector<llvm::BasicBlock*, 16> copies;
  for (llvm::BasicBlock* block : blocks) {
    copies.push_back(llvm::CloneBasicBlock(block, values, ".else", function));
    values[block] = copies.back();
  }
  llvm::remapInstructionsInBlocks(copies, values);
  llvm::LLVMContext& context = function->getContext();
  auto hold = [&](llvm::ArrayRef<llvm::BasicBlock*> in, bool value) {
    for (llvm::BasicBlock* block : in)
      for (Instruction& instruction : *block)
        instruction.replaceUsesOfWith(condition, llvm::ConstantInt::getBool(context, value));
  };
  hold(blocks, true);
  hold(copies, false);
  Instruction* end = run->getTerminator();
  llvm::BranchInst::Create(header, copies.front(), condition, end->getIterator());
  end->eraseFromParent();
  return llvm::cast<llvm::BranchInst>(values[loop.latch]);
}

} // namespace

Periods split_at_periods(const ThreadLoop& loop, unsigned least) {
  const Terms terms(*loop.x);
  if (terms.all().empty())
    return {};
  Periods periods{terms.choose(loop.size, least)};
  if (periods.period == 0)
    return periods;
  Splitter splitter(loop, terms, periods.period);
  splitter.split();
  if (Value* condition = splitter.condition())
    periods.other = part_loop(loop, splitter.run(), condition);
  return periods;
}

llvm::PreservedAnalyses HideShortCounters::run(llvm::Function& function,
                                               llvm::FunctionAnalysisManager& analyses) {
  using namespace llvm::PatternMatch;
  // A counter of 16 bits or more seldom wraps: a test before the loop is worth its while.
  constexpr unsigned kShort = 16;
  std::vector<Instruction*> masks;
  auto& loops = analyses.getResult<llvm::LoopAnalysis>(function);
  for (llvm::Loop* loop : loops.getLoopsInPreorder()) {
    // The loop over x: the kernel's own loops have no such note.
    if (!loop->isInnermost() || !llvm::findOptionMDForLoop(loop, "llvm.loop.parallel_accesses"))
      continue;
    for (llvm::BasicBlock* block : loop->blocks())
      for (Instruction& instruction : *block) {
        const llvm::APInt* mask = nullptr;
        if (!match(&instruction, m_And(m_Value(), m_APInt(mask))) || mask->countl_zero() == 0 ||
            mask->getActiveBits() - mask->countr_zero() >= kShort)
          continue;
        auto& evolution = analyses.getResult<llvm::ScalarEvolutionAnalysis>(function);
        if (llvm::isa<llvm::SCEVAddRecExpr>(evolution.getSCEV(instruction.getOperand(0))))
          masks.push_back(&instruction);
      }
  }
  if (masks.empty())
    return llvm::PreservedAnalyses::all();
  auto& evolution = analyses.getResult<llvm::ScalarEvolutionAnalysis>(function);
  for (Instruction* mask : masks) {
    llvm::IRBuilder<> builder(mask);
    mask->setOperand(0, builder.CreateFreeze(mask->getOperand(0)));
    evolution.forgetValue(mask);
  }
  llvm::PreservedAnalyses preserved;
  preserved.preserveSet<llvm::CFGAnalyses>();
  preserved.preserve<llvm::LoopAnalysis>();
  preserved.preserve<llvm::ScalarEvolutionAnalysis>();
  return preserved;
}

} // namespace metalwright::simt
