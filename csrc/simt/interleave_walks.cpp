// Finds walks by scalar evolution; one array and one place to fill it for each of them.
#include "simt/interleave_walks.h"

#include "simt/transpose.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Analysis/AssumptionCache.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/ScalarEvolutionExpressions.h>
#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>
#include <llvm/Transforms/Utils/ScalarEvolutionExpander.h>

namespace metalwright::simt {

namespace {

constexpr unsigned kElement = 4; // bytes
constexpr unsigned kPiece = 4;   // elements of a register that every machine has
constexpr unsigned kRounds = 64; // that the array has room for: a power of two, in pieces

// Analyses of a function as it is.
struct Loops {
  explicit Loops(llvm::Function& function)
      : dominators(function), loops(dominators),
        library_of_none(llvm::Triple(function.getParent()->getTargetTriple())),
        library(library_of_none), assumptions(function),
        evolution(function, library, assumptions, dominators, loops) {}

  llvm::DominatorTree dominators;
  llvm::LoopInfo loops;
  llvm::TargetLibraryInfoImpl library_of_none;
  llvm::TargetLibraryInfo library;
  llvm::AssumptionCache assumptions;
  llvm::ScalarEvolution evolution;
};

// Where a load begins to walk, element by element; null if it does not walk so.
const llvm::SCEV* start_of(llvm::Instruction& instruction, const llvm::Loop& loop,
                           llvm::ScalarEvolution& evolution) {
  auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
  if (!load || !load->isSimple() || load->getType()->isVectorTy() ||
      load->getType()->isPointerTy() || load->getType()->getPrimitiveSizeInBits() != 8 * kElement)
    return nullptr;
  const auto* address =
      llvm::dyn_cast<llvm::SCEVAddRecExpr>(evolution.getSCEV(load->getPointerOperand()));
  if (!address || address->getLoop() != &loop || !address->isAffine())
    return nullptr;
  const auto* step = llvm::dyn_cast<llvm::SCEVConstant>(address->getStepRecurrence(evolution));
  return step && step->getAPInt() == kElement ? address->getStart() : nullptr;
}

// Rounds of a loop in one block that only reads and computes one number after the other, if they
// are known and worth it; else 0.
unsigned rounds_of(llvm::Loop& loop, llvm::ScalarEvolution& evolution) {
  if (loop.getNumBlocks() != 1 || !loop.getLoopPredecessor())
    return 0;
  for (const llvm::Instruction& instruction : *loop.getHeader())
    if (instruction.mayWriteToMemory() || instruction.getType()->isVectorTy())
      return 0;
  const unsigned rounds = evolution.getSmallConstantTripCount(&loop);
  return rounds >= 4 * kPiece ? rounds : 0;
}

class Interleaver {
 public:
  Interleaver(llvm::Function& function, llvm::Loop& loop, unsigned rounds, Loops& analyses)
      : function_(function), loop_(loop), rounds_(rounds), analyses_(analyses),
        builder_(function.getContext()) {}

  // All walks of the loop; the analyses are out of date then.
  void run(llvm::ArrayRef<const std::vector<llvm::Instruction*>*> walks) {
    llvm::BasicBlock* body = loop_.getHeader();
    llvm::BasicBlock* before = loop_.getLoopPreheader();
    if (!before)
      before = llvm::SplitEdge(loop_.getLoopPredecessor(), body, &analyses_.dominators,
                               &analyses_.loops);
    std::vector<std::vector<llvm::Value*>> starts;
    {
      llvm::SCEVExpander expander(analyses_.evolution, function_.getDataLayout(), "walk");
      for (const auto* walk : walks) {
        std::vector<llvm::Value*>& all = starts.emplace_back();
        for (llvm::Instruction* load : *walk)
          all.push_back(expander.expandCodeFor(start_of(*load, loop_, analyses_.evolution),
                                               builder_.getPtrTy(), before->getTerminator()));
      }
    }
    // The phis stay in a block of their own, where a round begins.
    llvm::BasicBlock* head = body;
    body = llvm::SplitBlock(head, head->getFirstNonPHIIt());
    builder_.SetInsertPoint(head, head->begin());
    llvm::PHINode* round = builder_.CreatePHI(builder_.getInt64Ty(), 2, "round");
    builder_.SetInsertPoint(body->getTerminator());
    round->addIncoming(builder_.getInt64(0), before);
    round->addIncoming(builder_.CreateAdd(round, builder_.getInt64(1), "", true, true), body);
    builder_.SetInsertPoint(head->getTerminator());
    llvm::Value* slot = builder_.CreateAnd(round, builder_.getInt64(kRounds - 1));
    llvm::BasicBlock* fill =
        llvm::BasicBlock::Create(function_.getContext(), "interleave", &function_, body);
    builder_.CreateCondBr(builder_.CreateIsNull(slot), fill, body);
    head->getTerminator()->eraseFromParent();
    for (std::size_t i = 0; i < walks.size(); ++i)
      arrays_.push_back(make_array(*walks[i]));
    build_filling(*fill, *head, *body, *round, walks, starts);
    for (std::size_t i = 0; i < walks.size(); ++i)
      for (unsigned k = 0; k < walks[i]->size(); ++k)
        read(llvm::cast<llvm::LoadInst>(*(*walks[i])[k]), *arrays_[i], *slot, k, walks[i]->size());
  }

 private:
  llvm::AllocaInst* make_array(const std::vector<llvm::Instruction*>& walk) {
    llvm::BasicBlock& entry = function_.getEntryBlock();
    builder_.SetInsertPoint(&entry, entry.begin());
    llvm::AllocaInst* array = builder_.CreateAlloca(
        llvm::ArrayType::get(builder_.getInt8Ty(), std::uint64_t{kRounds} * walk.size() * kElement),
        nullptr, "walks");
    array->setAlignment(llvm::Align(64));
    return array;
  }

  llvm::Value* place(llvm::Value& array, llvm::Value* slot, unsigned k, std::size_t count) {
    llvm::Value* offset = builder_.CreateMul(slot, builder_.getInt64(count * kElement));
    return builder_.CreateGEP(builder_.getInt8Ty(), &array,
                              builder_.CreateAdd(offset, builder_.getInt64(k * kElement)));
  }

  // The rounds from this one on, as many as the array has room for. The last piece may be one that
  // was there already in part: its other rounds are over.
  void build_filling(llvm::BasicBlock& fill, llvm::BasicBlock& head, llvm::BasicBlock& body,
                     llvm::Value& round,
                     llvm::ArrayRef<const std::vector<llvm::Instruction*>*> walks,
                     llvm::ArrayRef<std::vector<llvm::Value*>> starts) {
    builder_.SetInsertPoint(&fill);
    llvm::PHINode* ahead = builder_.CreatePHI(builder_.getInt64Ty(), 2);
    llvm::Value* first =
        builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, builder_.CreateAdd(&round, ahead),
                                       builder_.getInt64(rounds_ - kPiece));
    for (std::size_t i = 0; i < walks.size(); ++i) {
      std::vector<llvm::Value*> addresses;
      for (llvm::Value* start : starts[i])
        addresses.push_back(builder_.CreateGEP(
            builder_.getInt8Ty(), start, builder_.CreateMul(first, builder_.getInt64(kElement))));
      auto* piece = llvm::FixedVectorType::get(walks[i]->front()->getType(), kPiece);
      const std::vector<llvm::Value*> columns = load_columns(
          builder_, piece, addresses, llvm::Align(kElement), [](llvm::Instruction*) {});
      for (unsigned j = 0; j < kPiece; ++j) {
        llvm::Value* slot = builder_.CreateAnd(builder_.CreateAdd(first, builder_.getInt64(j)),
                                               builder_.getInt64(kRounds - 1));
        builder_.CreateAlignedStore(columns[j], place(*arrays_[i], slot, 0, addresses.size()),
                                    llvm::Align(addresses.size() * kElement));
      }
    }
    llvm::Value* next = builder_.CreateAdd(ahead, builder_.getInt64(kPiece));
    llvm::Value* is_more = builder_.CreateAnd(
        builder_.CreateICmpULT(next, builder_.getInt64(kRounds)),
        builder_.CreateICmpULT(builder_.CreateAdd(&round, next), builder_.getInt64(rounds_)));
    builder_.CreateCondBr(is_more, &fill, &body);
    ahead->addIncoming(builder_.getInt64(0), &head);
    ahead->addIncoming(next, &fill);
  }

  void read(llvm::LoadInst& load, llvm::Value& array, llvm::Value& slot, unsigned k,
            std::size_t count) {
    builder_.SetInsertPoint(&load);
    llvm::Value* instead = builder_.CreateAlignedLoad(load.getType(), place(array, &slot, k, count),
                                                      llvm::Align(kElement));
    load.replaceAllUsesWith(instead);
    load.eraseFromParent();
  }

  llvm::Function& function_;
  llvm::Loop& loop_;
  const unsigned rounds_;
  Loops& analyses_;
  llvm::IRBuilder<> builder_;
  std::vector<llvm::AllocaInst*> arrays_;
};

} // namespace

std::vector<llvm::Instruction*> find_memory_walks(llvm::Function& function,
                                                  llvm::ArrayRef<llvm::Instruction*> memory) {
  std::vector<llvm::Instruction*> found;
  Loops analyses(function);
  for (llvm::Loop* loop : analyses.loops.getLoopsInPreorder()) {
    if (rounds_of(*loop, analyses.evolution) == 0)
      continue;
    for (llvm::Instruction& instruction : *loop->getHeader())
      if (start_of(instruction, *loop, analyses.evolution) &&
          llvm::is_contained(
              memory, llvm::getUnderlyingObject(llvm::getLoadStorePointerOperand(&instruction), 0)))
        found.push_back(&instruction);
  }
  return found;
}

void interleave_walks(llvm::Function& function,
                      llvm::ArrayRef<std::vector<llvm::Instruction*>> walks) {
  std::vector<bool> done(walks.size());
  for (std::size_t i = 0; i < walks.size(); ++i) {
    if (done[i])
      continue;
    Loops analyses(function);
    llvm::Loop* loop = analyses.loops.getLoopFor(walks[i].front()->getParent());
    const unsigned rounds = loop ? rounds_of(*loop, analyses.evolution) : 0;
    std::vector<const std::vector<llvm::Instruction*>*> of_loop;
    for (std::size_t j = i; j < walks.size(); ++j) {
      const bool is_here =
          !done[j] && rounds != 0 && llvm::all_of(walks[j], [&](llvm::Instruction* load) {
            return load->getParent() == loop->getHeader() &&
                   start_of(*load, *loop, analyses.evolution);
          });
      if (is_here) {
        of_loop.push_back(&walks[j]);
        done[j] = true;
      }
    }
    if (!of_loop.empty())
      Interleaver(function, *loop, rounds, analyses).run(of_loop);
  }
}

} // namespace metalwright::simt
