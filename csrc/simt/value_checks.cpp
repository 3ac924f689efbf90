// Puts the conditions next to the arithmetic.
#include "simt/value_checks.h"

#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/DebugInfoMetadata.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Operator.h>

#include <cmath>
#include <map>
#include <set>

namespace metalwright::simt {

// As csrc/msl/session.h has it; the folder exists in the compiler only.
static constexpr llvm::StringRef kLibraryFolder = "/<metal>/";

SourcePlace place_of(const llvm::Instruction& instruction) {
  const llvm::DILocation* location = instruction.getDebugLoc().get();
  while (location && location->getInlinedAt() &&
         (location->getFilename().starts_with(kLibraryFolder) || location->getLine() == 0))
    location = location->getInlinedAt();
  if (!location || location->getLine() == 0)
    return {};
  return {location->getFilename().str(), location->getLine(), location->getColumn()};
}

namespace {

// Instructions that bring nothing of their own to an address but that their operands do.
bool carries(const llvm::Instruction& instruction) {
  switch (instruction.getOpcode()) {
  case llvm::Instruction::SExt:
  case llvm::Instruction::ZExt:
  case llvm::Instruction::Trunc:
  case llvm::Instruction::Add:
  case llvm::Instruction::Sub:
  case llvm::Instruction::Mul:
  case llvm::Instruction::Shl:
  case llvm::Instruction::PHI:
  case llvm::Instruction::Select:
  case llvm::Instruction::GetElementPtr:
  case llvm::Instruction::BitCast:
  case llvm::Instruction::AddrSpaceCast:
    return true;
  default:
    return false;
  }
}

class ValueChecks {
 public:
  ValueChecks(llvm::Module& module, CheckTables& tables)
      : module_(module), tables_(tables), builder_(module.getContext()) {}

  void run() {
    for (llvm::Function& function : module_) {
      if (function.isDeclaration())
        continue;
      const std::set<llvm::BinaryOperator*> indices = index_arithmetic(function);
      for (llvm::Instruction& instruction :
           llvm::make_early_inc_range(llvm::instructions(function))) {
        if (auto* operation = llvm::dyn_cast<llvm::BinaryOperator>(&instruction)) {
          if (operation->isIntDivRem())
            check_division(*operation);
          else if (indices.contains(operation))
            check_overflow(*operation);
        } else if (auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction)) {
          check_conversion(*call);
        }
      }
    }
  }

 private:
  // The signed additions, subtractions and multiplications whose results come to an address,
  // through variables too.
  static std::set<llvm::BinaryOperator*> index_arithmetic(llvm::Function& function) {
    std::set<llvm::BinaryOperator*> found;
    std::set<llvm::Value*> seen;
    std::vector<llvm::Value*> work;
    std::map<llvm::Value*, std::vector<llvm::StoreInst*>> stores;
    for (llvm::Instruction& instruction : llvm::instructions(function)) {
      if (auto* address = llvm::dyn_cast<llvm::GetElementPtrInst>(&instruction))
        work.insert(work.end(), address->idx_begin(), address->idx_end());
      else if (auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction))
        stores[llvm::getUnderlyingObject(store->getPointerOperand())].push_back(store);
    }
    while (!work.empty()) {
      llvm::Value* value = work.back();
      work.pop_back();
      auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
      if (!instruction || !seen.insert(value).second)
        continue;
      if (auto* load = llvm::dyn_cast<llvm::LoadInst>(instruction)) {
        llvm::Value* variable = llvm::getUnderlyingObject(load->getPointerOperand());
        if (llvm::isa<llvm::AllocaInst>(variable))
          for (llvm::StoreInst* store : stores[variable])
            work.push_back(store->getValueOperand());
        continue;
      }
      if (!carries(*instruction))
        continue;
      if (auto* operation = llvm::dyn_cast<llvm::BinaryOperator>(instruction);
          operation && operation->getType()->isIntegerTy() &&
          llvm::isa<llvm::OverflowingBinaryOperator>(operation) && operation->hasNoSignedWrap())
        found.insert(operation);
      work.insert(work.end(), instruction->op_begin(), instruction->op_end());
    }
    return found;
  }

  // `flag`: a boolean or a vector of them.
  void report(llvm::Value* flag, const llvm::Instruction& where, const char* code) {
    if (flag->getType()->isVectorTy())
      flag = quiet(builder_.CreateOrReduce(flag));
    CheckSite site;
    site.kind = CheckKind::condition;
    site.place = place_of(where);
    site.what = code;
    llvm::Type* word = builder_.getInt32Ty();
    llvm::FunctionCallee hook = module_.getOrInsertFunction(
        kConditionHook, llvm::FunctionType::get(builder_.getVoidTy(), {word, word}, false));
    llvm::Value* holds = quiet(builder_.CreateZExt(flag, word));
    quiet(builder_.CreateCall(
        hook, {holds, builder_.getInt32(static_cast<std::uint32_t>(tables_.sites.size()))}));
    tables_.sites.push_back(std::move(site));
  }

  // An instruction of ours: undefined operands are somebody else's finding.
  static llvm::Value* quiet(llvm::Value* value) {
    if (auto* instruction = llvm::dyn_cast<llvm::Instruction>(value))
      instruction->setMetadata(llvm::LLVMContext::MD_nosanitize,
                               llvm::MDNode::get(instruction->getContext(), {}));
    return value;
  }

  void check_division(llvm::BinaryOperator& division) {
    if (const auto* constant = llvm::dyn_cast<llvm::Constant>(division.getOperand(1));
        constant && !constant->isZeroValue() && !constant->getType()->isVectorTy())
      return;
    builder_.SetInsertPoint(&division);
    report(quiet(builder_.CreateIsNull(division.getOperand(1))), division, "division-by-zero");
  }

  void check_overflow(llvm::BinaryOperator& operation) {
    const llvm::Intrinsic::ID intrinsic =
        operation.getOpcode() == llvm::Instruction::Add   ? llvm::Intrinsic::sadd_with_overflow
        : operation.getOpcode() == llvm::Instruction::Sub ? llvm::Intrinsic::ssub_with_overflow
        : operation.getOpcode() == llvm::Instruction::Mul ? llvm::Intrinsic::smul_with_overflow
                                                          : llvm::Intrinsic::not_intrinsic;
    if (intrinsic == llvm::Intrinsic::not_intrinsic)
      return;
    builder_.SetInsertPoint(&operation);
    llvm::Value* pair = quiet(builder_.CreateBinaryIntrinsic(intrinsic, operation.getOperand(0),
                                                             operation.getOperand(1)));
    report(quiet(builder_.CreateExtractValue(pair, 1)), operation, "index-overflow");
  }

  // air.convert.s.i32.f.f32 and the like.
  void check_conversion(llvm::CallInst& call) {
    const llvm::Function* callee = call.getCalledFunction();
    llvm::StringRef name = callee ? callee->getName() : "";
    if (!name.consume_front("air.convert.") || call.arg_size() != 1)
      return;
    const bool is_signed = name.starts_with("s.");
    if ((!is_signed && !name.starts_with("u.")) ||
        !call.getArgOperand(0)->getType()->isFPOrFPVectorTy() ||
        !call.getType()->isIntOrIntVectorTy())
      return;
    const unsigned bits = call.getType()->getScalarSizeInBits();
    if (bits == 1)
      return;
    builder_.SetInsertPoint(&call);
    llvm::Value* value = call.getArgOperand(0);
    llvm::Type* type = value->getType()->getWithNewType(builder_.getDoubleTy());
    value = quiet(builder_.CreateFPExt(value, type));
    const double least = is_signed ? -std::ldexp(1.0, static_cast<int>(bits) - 1) : 0.0;
    const double above = std::ldexp(1.0, static_cast<int>(bits) - (is_signed ? 1 : 0));
    // What is cut off to a number that fits is no overflow: -0.5 is 0 also as an unsigned one.
    llvm::Value* low =
        quiet(bits >= 53 ? builder_.CreateFCmpULT(value, llvm::ConstantFP::get(type, least))
                         : builder_.CreateFCmpULE(value, llvm::ConstantFP::get(type, least - 1.0)));
    if (!is_signed)
      low = quiet(builder_.CreateFCmpULE(value, llvm::ConstantFP::get(type, -1.0)));
    llvm::Value* high = quiet(builder_.CreateFCmpUGE(value, llvm::ConstantFP::get(type, above)));
    report(quiet(builder_.CreateOr(low, high)), call, "conversion-overflow");
  }

  llvm::Module& module_;
  CheckTables& tables_;
  llvm::IRBuilder<> builder_;
};

} // namespace

void check_values(llvm::Module& module, CheckTables& tables) {
  ValueChecks(module, tables).run();
}

} // namespace metalwright::simt
