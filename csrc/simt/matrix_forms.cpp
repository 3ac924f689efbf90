// Rewrites calls with extents and strides to calls with a row length and a flag.
#include "simt/matrix_forms.h"

#include <llvm/Analysis/VectorUtils.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Instructions.h>

namespace metalwright::simt {

namespace {

bool is_pair(const llvm::Type* type) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  return vector && vector->getNumElements() == 2 && vector->getElementType()->isIntegerTy(64);
}

llvm::Value* element(llvm::IRBuilder<>& builder, llvm::Value* pair, unsigned i) {
  llvm::Value* known = llvm::findScalarElement(pair, i);
  return known ? known : builder.CreateExtractElement(pair, i);
}

bool is_one(const llvm::Value* value) {
  const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(value);
  return constant && constant->isOne();
}

// The older function, under the name of the newer one.
llvm::Function* older(llvm::Function& newer, unsigned pointer) {
  llvm::LLVMContext& context = newer.getContext();
  llvm::FunctionType* type = newer.getFunctionType();
  std::vector<llvm::Type*> types(type->param_begin(), type->param_end());
  types[pointer + 1] = llvm::Type::getInt64Ty(context);
  types[pointer + 3] = llvm::Type::getInt1Ty(context);
  const std::string name = newer.getName().str();
  newer.setName(name + ".strided");
  llvm::Function* made =
      llvm::Function::Create(llvm::FunctionType::get(type->getReturnType(), types, false),
                             llvm::GlobalValue::ExternalLinkage, name, newer.getParent());
  made->copyAttributesFrom(&newer);
  return made;
}

void rewrite(llvm::CallInst& call, llvm::Function& target, unsigned pointer) {
  llvm::IRBuilder<> builder(&call);
  std::vector<llvm::Value*> arguments(call.arg_begin(), call.arg_end());
  llvm::Value* strides = arguments[pointer + 2];
  llvm::Value* origin = arguments[pointer + 3];
  llvm::Value* between_columns = element(builder, strides, 0);
  llvm::Value* between_rows = element(builder, strides, 1);
  // One of the two is 1: that of the elements that are neighbours in memory. Where the program
  // does not say which, the other one is not 1 or it does not matter.
  llvm::Value* transposed = is_one(between_columns) ? builder.getFalse()
                            : is_one(between_rows)
                                ? builder.getTrue()
                                : builder.CreateICmpNE(between_columns, builder.getInt64(1));
  llvm::Type* type = pointer == 0 ? call.getType() : arguments[0]->getType();
  llvm::Value* start =
      builder.CreateAdd(builder.CreateMul(element(builder, origin, 0), between_columns),
                        builder.CreateMul(element(builder, origin, 1), between_rows));
  arguments[pointer] = builder.CreateGEP(type->getScalarType(), arguments[pointer], start);
  arguments[pointer + 1] = builder.CreateSelect(transposed, between_columns, between_rows);
  arguments[pointer + 2] = llvm::Constant::getNullValue(origin->getType());
  arguments[pointer + 3] = transposed;
  llvm::CallInst* made = builder.CreateCall(&target, arguments);
  made->setAttributes(call.getAttributes());
  made->setDebugLoc(call.getDebugLoc());
  made->takeName(&call);
  call.replaceAllUsesWith(made);
  call.eraseFromParent();
}

} // namespace

void unify_matrix_calls(llvm::Module& module) {
  for (llvm::Function& function : llvm::make_early_inc_range(module)) {
    const llvm::StringRef name = function.getName();
    const bool loads = name.starts_with("air.simdgroup_matrix_8x8_load");
    if (!loads && !name.starts_with("air.simdgroup_matrix_8x8_store"))
      continue;
    const unsigned pointer = loads ? 0 : 1;
    const llvm::FunctionType* type = function.getFunctionType();
    if (type->getNumParams() != pointer + 4 || !type->getParamType(pointer)->isPointerTy() ||
        !is_pair(type->getParamType(pointer + 1)) || !is_pair(type->getParamType(pointer + 2)) ||
        !is_pair(type->getParamType(pointer + 3)))
      continue;
    llvm::Function* target = older(function, pointer);
    for (llvm::User* user : llvm::make_early_inc_range(function.users()))
      if (auto* call = llvm::dyn_cast<llvm::CallInst>(user))
        rewrite(*call, *target, pointer);
    if (function.use_empty())
      function.eraseFromParent();
  }
}

} // namespace metalwright::simt
