// Simdgroup matrices: 64 elements in one vector, row by row, for the whole simdgroup.
#include "simt/lowering.h"
#include "simt/vector_builder.h"

#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>

#include <vector>

namespace metalwright::simt {

using llvm::Type;
using llvm::Value;

namespace {

// Where the first of the two elements that a lane owns lies (docs/design/interfaces.md).
unsigned place_of_lane(unsigned lane) {
  const unsigned row = (lane / 4 & 4) + lane / 2 % 4;
  const unsigned column = (lane / 4 & 2) * 2 + lane % 2 * 2;
  return 8 * row + column;
}

} // namespace

void VectorBuilder::require_whole_simdgroup(const llvm::Instruction& instruction) {
  if (!is_full_mask())
    refuse(instruction, "a simdgroup matrix where not all 32 threads are known to take part");
}

Value* VectorBuilder::matrix(const Value* value) {
  return scalar(value);
}

Parts VectorBuilder::own_elements(const Value* value) {
  Parts results;
  for (unsigned which = 0; which < 2; ++which) {
    llvm::SmallVector<int, kLanes> source;
    for (unsigned lane = 0; lane < kLanes; ++lane)
      source.push_back(static_cast<int>(place_of_lane(lane) + which));
    results.push_back(builder_.CreateShuffleVector(matrix(value), source));
  }
  return results;
}

void VectorBuilder::set_own_elements(llvm::Instruction& instruction, Value* rest,
                                     const Parts& elements) {
  require_whole_simdgroup(instruction);
  for (unsigned which = 0; which < 2; ++which) {
    if (!elements[which] || llvm::isa<llvm::UndefValue>(elements[which]))
      continue;
    llvm::SmallVector<int, 64> spread(64, llvm::PoisonMaskElem);
    llvm::SmallVector<int, 64> blend;
    for (unsigned i = 0; i < 64; ++i)
      blend.push_back(static_cast<int>(i));
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const unsigned place = place_of_lane(lane) + which;
      spread[place] = static_cast<int>(lane);
      blend[place] = static_cast<int>(64 + place);
    }
    rest = builder_.CreateShuffleVector(rest, builder_.CreateShuffleVector(elements[which], spread),
                                        blend);
  }
  set_scalar(&instruction, rest);
}

// True for instructions that have a matrix as an operand or result and are no calls.
bool VectorBuilder::build_matrix_instruction(llvm::Instruction& instruction) {
  if (auto* extract = llvm::dyn_cast<llvm::ExtractElementInst>(&instruction);
      extract && LaneAnalysis::is_matrix(extract->getVectorOperandType())) {
    const auto* index = llvm::dyn_cast<llvm::ConstantInt>(extract->getIndexOperand());
    if (!index || index->getValue().uge(2))
      refuse(instruction, "an element of a simdgroup matrix that is not the thread's own");
    set_parts(&instruction, {own_elements(extract->getVectorOperand())[index->getZExtValue()]});
    return true;
  }
  if (auto* insert = llvm::dyn_cast<llvm::InsertElementInst>(&instruction);
      insert && LaneAnalysis::is_matrix(insert->getType())) {
    const auto* index = llvm::dyn_cast<llvm::ConstantInt>(insert->getOperand(2));
    if (!index || index->getValue().uge(2))
      refuse(instruction, "an element of a simdgroup matrix that is not the thread's own");
    Parts elements = {nullptr, nullptr};
    elements[index->getZExtValue()] = part(insert->getOperand(1));
    set_own_elements(instruction, matrix(insert->getOperand(0)), elements);
    return true;
  }
  if (auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(&instruction);
      shuffle && (LaneAnalysis::is_matrix(shuffle->getType()) ||
                  LaneAnalysis::is_matrix(shuffle->getOperand(0)->getType()))) {
    // A thread can only mean its own elements.
    Parts all;
    for (const llvm::Use& operand : shuffle->operands()) {
      Parts elements =
          LaneAnalysis::is_matrix(operand->getType()) ? own_elements(operand) : parts(operand);
      const auto width = llvm::cast<llvm::FixedVectorType>(operand->getType())->getNumElements();
      elements.resize(width, llvm::PoisonValue::get(elements.front()->getType()));
      all.append(elements);
    }
    const bool to_matrix = LaneAnalysis::is_matrix(shuffle->getType());
    Parts results;
    for (const int index :
         shuffle->getShuffleMask().take_front(to_matrix ? 2 : shuffle->getShuffleMask().size()))
      results.push_back(index >= 0 ? all[static_cast<unsigned>(index)]
                                   : llvm::PoisonValue::get(all.front()->getType()));
    if (to_matrix)
      set_own_elements(instruction, llvm::PoisonValue::get(shuffle->getType()), results);
    else
      set_parts(&instruction, std::move(results));
    return true;
  }
  bool touches = LaneAnalysis::is_matrix(instruction.getType());
  for (const llvm::Use& operand : instruction.operands())
    touches |= LaneAnalysis::is_matrix(operand->getType());
  if (!touches)
    return false;
  require_whole_simdgroup(instruction);
  for (const llvm::Use& operand : instruction.operands())
    if (is_varying(operand))
      refuse(instruction, std::string("a simdgroup matrix with what differs between threads, in ") +
                              instruction.getOpcodeName());
  switch (instruction.getOpcode()) {
  case llvm::Instruction::Load:
  case llvm::Instruction::Store: {
    // In memory of the program a matrix has no layout; only private variables hold one.
    const Value* object = llvm::getLoadStorePointerOperand(&instruction)->stripInBoundsOffsets();
    if (!llvm::isa<llvm::AllocaInst>(object))
      refuse(instruction, "a simdgroup matrix in shared memory");
    break;
  }
  case llvm::Instruction::Select:
  case llvm::Instruction::Freeze:
  case llvm::Instruction::FNeg:
  case llvm::Instruction::FAdd:
  case llvm::Instruction::FSub:
  case llvm::Instruction::FMul:
  case llvm::Instruction::FDiv:
  case llvm::Instruction::BitCast:
  case llvm::Instruction::FPExt:
  case llvm::Instruction::FPTrunc:
    break;
  default:
    refuse(instruction,
           std::string("a simdgroup matrix in the instruction ") + instruction.getOpcodeName());
  }
  build_uniform(instruction);
  return true;
}

// One copy for the simdgroup: whole matrices go in and out, or a thread's own elements would be
// another's.
void VectorBuilder::build_matrix_variable(llvm::AllocaInst& variable) {
  llvm::SmallVector<const llvm::Value*, 8> pointers{&variable};
  for (std::size_t i = 0; i < pointers.size(); ++i)
    for (const llvm::User* user : pointers[i]->users()) {
      if (llvm::isa<llvm::GetElementPtrInst>(user)) {
        pointers.push_back(user);
        continue;
      }
      const auto* intrinsic = llvm::dyn_cast<llvm::IntrinsicInst>(user);
      const auto* load = llvm::dyn_cast<llvm::LoadInst>(user);
      const auto* store = llvm::dyn_cast<llvm::StoreInst>(user);
      if ((intrinsic && intrinsic->isLifetimeStartOrEnd()) ||
          (load && LaneAnalysis::is_matrix(load->getType())) ||
          (store && store->getValueOperand() != pointers[i] &&
           LaneAnalysis::is_matrix(store->getValueOperand()->getType())))
        continue;
      refuse(*llvm::cast<llvm::Instruction>(user), "a part of a simdgroup matrix in memory");
    }
  llvm::IRBuilder<> entry(entry_, entry_->begin());
  llvm::Instruction* copy = variable.clone();
  copy->setDebugLoc({});
  set_scalar(&variable, entry.Insert(copy));
}

void VectorBuilder::build_matrix_op(llvm::CallInst& call, const ConvergentOp& op) {
  using Kind = ConvergentOp::Kind;
  require_whole_simdgroup(call);
  // The operands are the same in all threads, or the program is wrong: the first one's are taken.
  auto shared = [&](const Value* value) {
    if (!is_varying(value))
      return scalar(value);
    if (value->getType()->isVectorTy()) {
      Value* result = llvm::PoisonValue::get(value->getType());
      const Parts elements = parts(value);
      for (unsigned i = 0; i < elements.size(); ++i)
        result = builder_.CreateInsertElement(
            result, builder_.CreateExtractElement(elements[i], std::uint64_t{0}), i);
      return result;
    }
    if (lanes_.pattern(value).is_exact())
      return first(value);
    return builder_.CreateExtractElement(part(value), std::uint64_t{0});
  };
  switch (op.kind) {
  case Kind::matrix_load:
  case Kind::matrix_store: {
    const bool loads = op.kind == Kind::matrix_load;
    const unsigned begin = loads ? 0 : 1;
    Type* type = loads ? call.getType() : call.getArgOperand(0)->getType();
    Type* element = type->getScalarType();
    Value* stride = shared(call.getArgOperand(begin + 1));
    Value* origin = shared(call.getArgOperand(begin + 2));
    Value* transposed = shared(call.getArgOperand(begin + 3));
    const auto* is_transposed = llvm::dyn_cast<llvm::ConstantInt>(transposed);
    if (!is_transposed)
      refuse(call, "a simdgroup matrix that is transposed or not, as the program says");
    Value* start = builder_.CreateAdd(
        builder_.CreateMul(builder_.CreateExtractElement(origin, std::uint64_t{1}), stride),
        builder_.CreateExtractElement(origin, std::uint64_t{0}));
    Value* memory = builder_.CreateGEP(element, shared(call.getArgOperand(begin)), start);
    const llvm::Align align(layout_.getTypeStoreSize(element));
    auto* row_type = llvm::FixedVectorType::get(element, 8);
    auto address = [&](unsigned row) {
      return builder_.CreateGEP(element, memory,
                                builder_.CreateMul(stride, builder_.getInt64(row)));
    };
    llvm::SmallVector<int, 64> transposition;
    for (unsigned i = 0; i < 64; ++i)
      transposition.push_back(static_cast<int>(i % 8 * 8 + i / 8));
    if (loads) {
      Parts rows;
      for (unsigned row = 0; row < 8; ++row)
        rows.push_back(builder_.CreateAlignedLoad(row_type, address(row), align));
      for (unsigned count = 8; rows.size() > 1; count *= 2) {
        Parts joined;
        llvm::SmallVector<int, 64> order;
        for (unsigned i = 0; i < 2 * count; ++i)
          order.push_back(static_cast<int>(i));
        for (std::size_t i = 0; i < rows.size(); i += 2)
          joined.push_back(builder_.CreateShuffleVector(rows[i], rows[i + 1], order));
        rows = std::move(joined);
      }
      Value* result = rows.front();
      if (is_transposed->isOne())
        result = builder_.CreateShuffleVector(result, transposition);
      return set_scalar(&call, result);
    }
    Value* value = matrix(call.getArgOperand(0));
    if (is_transposed->isOne())
      value = builder_.CreateShuffleVector(value, transposition);
    for (unsigned row = 0; row < 8; ++row) {
      llvm::SmallVector<int, 8> source;
      for (unsigned i = 0; i < 8; ++i)
        source.push_back(static_cast<int>(8 * row + i));
      builder_.CreateAlignedStore(builder_.CreateShuffleVector(value, source), address(row), align);
    }
    return;
  }
  case Kind::matrix_fill:
    return set_scalar(&call, builder_.CreateVectorSplat(64, shared(call.getArgOperand(0))));
  case Kind::matrix_diagonal: {
    Value* element = shared(call.getArgOperand(0));
    Value* all = builder_.CreateVectorSplat(64, element);
    llvm::SmallVector<int, 64> source;
    for (unsigned i = 0; i < 64; ++i)
      source.push_back(static_cast<int>(i / 8 == i % 8 ? i : 64 + i));
    return set_scalar(&call, builder_.CreateShuffleVector(
                                 all, llvm::Constant::getNullValue(all->getType()), source));
  }
  default:
    break;
  }
  build_products(call, op);
}

// The product `call` and those after it in the block that have the same left operand and whose
// operands are known already: together they use each element of it once it is spread.
llvm::SmallVector<llvm::CallInst*, 4> VectorBuilder::products_with(llvm::CallInst& call,
                                                                   const ConvergentOp& op) {
  // Four products of four registers each leave room for the operands in 32 registers.
  constexpr std::size_t most = 4;
  auto is_known = [&](const Value* value) {
    return llvm::isa<llvm::Constant>(value) || scalars_.contains(value);
  };
  llvm::SmallVector<llvm::CallInst*, 4> products{&call};
  for (llvm::Instruction* next = call.getNextNode(); next && products.size() < most;
       next = next->getNextNode()) {
    auto* other = llvm::dyn_cast<llvm::CallInst>(next);
    if (!other || other->getType() != call.getType() ||
        other->getCalledOperand() != call.getCalledOperand() || scalars_.contains(other) ||
        other->getArgOperand(0) != call.getArgOperand(0))
      continue;
    const std::optional<ConvergentOp> same = convergent_op(*other);
    if (same && same->kind == op.kind && same->count == op.count &&
        llvm::all_of(other->args(), is_known))
      products.push_back(other);
  }
  return products;
}

// Two rows of a product at a time; every product is added in the order of k, in float.
void VectorBuilder::build_products(llvm::CallInst& call, const ConvergentOp& op) {
  if (scalars_.contains(&call))
    return; // built together with an earlier one
  auto as_float = [&](const Value* operand) {
    Value* value = matrix(operand);
    Type* element = value->getType()->getScalarType();
    if (element->isBFloatTy())
      return bfloat_to_float(builder_, value);
    return element->isFloatTy()
               ? value
               : builder_.CreateFPExt(value, llvm::FixedVectorType::get(builder_.getFloatTy(), 64));
  };
  struct Product {
    llvm::CallInst* call;
    Value* right;
    Parts rows; // pairs of them
  };
  std::vector<Product> products;
  for (llvm::CallInst* each : products_with(call, op)) {
    Product product{each, as_float(each->getArgOperand(1)), {}};
    Value* sum =
        (op.count & 0x100) != 0
            ? as_float(each->getArgOperand(2))
            : llvm::Constant::getNullValue(llvm::FixedVectorType::get(builder_.getFloatTy(), 64));
    for (unsigned pair = 0; pair < 4; ++pair) {
      llvm::SmallVector<int, 16> own;
      for (unsigned i = 0; i < 16; ++i)
        own.push_back(static_cast<int>(16 * pair + i));
      product.rows.push_back(builder_.CreateShuffleVector(sum, own));
    }
    products.push_back(std::move(product));
  }
  Value* left = as_float(call.getArgOperand(0));
  for (unsigned k = 0; k < 8; ++k) {
    llvm::SmallVector<int, 16> source;
    for (unsigned i = 0; i < 16; ++i)
      source.push_back(static_cast<int>(8 * k + i % 8));
    Parts rows_of_right;
    for (const Product& product : products)
      rows_of_right.push_back(builder_.CreateShuffleVector(product.right, source));
    for (unsigned pair = 0; pair < 4; ++pair) {
      for (unsigned i = 0; i < 16; ++i)
        source[i] = static_cast<int>(16 * pair + i / 8 * 8 + k);
      Value* factors = builder_.CreateShuffleVector(left, source);
      for (std::size_t i = 0; i < products.size(); ++i)
        products[i].rows[pair] =
            builder_.CreateIntrinsic(llvm::Intrinsic::fma, {factors->getType()},
                                     {factors, rows_of_right[i], products[i].rows[pair]});
    }
  }
  llvm::SmallVector<int, 64> order;
  for (unsigned i = 0; i < 64; ++i)
    order.push_back(static_cast<int>(i));
  const llvm::ArrayRef<int> half(order.data(), 32);
  for (const Product& product : products) {
    Value* result = builder_.CreateShuffleVector(
        builder_.CreateShuffleVector(product.rows[0], product.rows[1], half),
        builder_.CreateShuffleVector(product.rows[2], product.rows[3], half), order);
    Type* element = product.call->getType()->getScalarType();
    if (element->isHalfTy())
      result = builder_.CreateFPTrunc(result, product.call->getType());
    else if (element->isBFloatTy())
      result = float_to_bfloat(builder_, result);
    set_scalar(product.call, result);
  }
}

} // namespace metalwright::simt
