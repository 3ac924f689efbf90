// Copies a kernel, what it calls and what it refers to, and collapses address spaces on the way.
#include "simt/extract.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/AttributeMask.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/Operator.h>
#include <llvm/Transforms/Utils/Cloning.h>
#include <llvm/Transforms/Utils/ValueMapper.h>

#include <vector>

namespace metalwright::simt {

namespace {

class CollapseAddressSpaces : public llvm::ValueMapTypeRemapper {
 public:
  llvm::Type* remapType(llvm::Type* type) override {
    if (type->isPointerTy())
      return llvm::PointerType::get(type->getContext(), 0);
    if (!type->isAggregateType() && !type->isVectorTy() && !type->isFunctionTy())
      return type;
    if (auto found = known_.find(type); found != known_.end())
      return found->second;
    llvm::Type* mapped = map(type);
    known_[type] = mapped;
    return mapped;
  }

 private:
  llvm::Type* map(llvm::Type* type) {
    if (auto* array = llvm::dyn_cast<llvm::ArrayType>(type))
      return llvm::ArrayType::get(remapType(array->getElementType()), array->getNumElements());
    if (auto* vector = llvm::dyn_cast<llvm::VectorType>(type))
      return llvm::VectorType::get(remapType(vector->getElementType()), vector->getElementCount());
    llvm::SmallVector<llvm::Type*, 8> parts;
    bool same = true;
    for (llvm::Type* part : type->subtypes()) {
      parts.push_back(remapType(part));
      same &= parts.back() == part;
    }
    if (same)
      return type;
    if (auto* function = llvm::dyn_cast<llvm::FunctionType>(type))
      return llvm::FunctionType::get(parts.front(), llvm::ArrayRef(parts).drop_front(),
                                     function->isVarArg());
    auto* structure = llvm::cast<llvm::StructType>(type);
    if (structure->isLiteral())
      return llvm::StructType::get(type->getContext(), parts, structure->isPacked());
    return llvm::StructType::create(parts, structure->getName(), structure->isPacked());
  }

  llvm::DenseMap<llvm::Type*, llvm::Type*> known_;
};

void drop_target_attributes(llvm::Function& function) {
  llvm::AttributeMask unwanted;
  for (const llvm::Attribute& attribute : function.getAttributes().getFnAttrs())
    if (attribute.isStringAttribute())
      unwanted.addAttribute(attribute.getKindAsString());
  unwanted.addAttribute(llvm::Attribute::MustProgress)
      .addAttribute(llvm::Attribute::WillReturn)
      .addAttribute(llvm::Attribute::NoInline)
      .addAttribute(llvm::Attribute::OptimizeNone)
      .addAttribute(llvm::Attribute::OptimizeForSize)
      .addAttribute(llvm::Attribute::MinSize)
      .addAttribute(llvm::Attribute::StackProtect)
      .addAttribute(llvm::Attribute::StackProtectStrong)
      .addAttribute(llvm::Attribute::StackProtectReq);
  function.removeFnAttrs(unwanted);
}

// Copies globals and functions when something that is copied refers to them.
class Extractor : public llvm::ValueMaterializer {
 public:
  explicit Extractor(llvm::Module& target) : target_(target) {}

  llvm::Value* materialize(llvm::Value* value) override {
    if (auto* expression = llvm::dyn_cast<llvm::ConstantExpr>(value))
      return expression->getOpcode() == llvm::Instruction::AddrSpaceCast
                 ? map(expression->getOperand(0))
                 : nullptr;
    if (auto* function = llvm::dyn_cast<llvm::Function>(value))
      return copy_declaration(*function);
    if (auto* global = llvm::dyn_cast<llvm::GlobalVariable>(value))
      return copy_global(*global);
    return nullptr;
  }

  llvm::Function* copy(llvm::Function& root) {
    auto* result = llvm::cast<llvm::Function>(map(&root));
    while (!todo_.empty()) {
      llvm::Function* from = todo_.back();
      todo_.pop_back();
      copy_body(*from, *llvm::cast<llvm::Function>(values_[from]));
    }
    return result;
  }

 private:
  llvm::Value* map(llvm::Value* value) {
    return llvm::MapValue(value, values_, llvm::RF_None, &types_, this);
  }

  llvm::Function* copy_declaration(llvm::Function& from) {
    auto* type = llvm::cast<llvm::FunctionType>(types_.remapType(from.getFunctionType()));
    auto* to = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, 0, from.getName(),
                                      &target_);
    to->setAttributes(from.getAttributes());
    if (from.isIntrinsic()) {
      if (auto renamed = llvm::Intrinsic::remangleIntrinsicFunction(to)) {
        to->eraseFromParent();
        to = *renamed;
      }
    } else if (!from.isDeclaration()) {
      todo_.push_back(&from);
    }
    values_[&from] = to;
    return to;
  }

  llvm::GlobalVariable* copy_global(llvm::GlobalVariable& from) {
    const bool threadgroup = from.getAddressSpace() == 3;
    llvm::Type* type = types_.remapType(from.getValueType());
    auto* to =
        new llvm::GlobalVariable(target_, type, from.isConstant() && !threadgroup,
                                 llvm::GlobalValue::InternalLinkage, nullptr, from.getName());
    values_[&from] = to;
    to->setAlignment(from.getAlign());
    if (threadgroup) {
      to->setSection(kThreadgroupSection);
      to->setInitializer(llvm::UndefValue::get(type));
    } else {
      // Constant memory that nothing gave a value reads as zero.
      to->setInitializer(from.hasInitializer()
                             ? llvm::cast<llvm::Constant>(map(from.getInitializer()))
                             : llvm::Constant::getNullValue(type));
      to->setConstant(true);
      to->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    }
    return to;
  }

  void copy_body(llvm::Function& from, llvm::Function& to) {
    auto argument = to.arg_begin();
    for (llvm::Argument& old : from.args()) {
      argument->setName(old.getName());
      values_[&old] = &*argument++;
    }
    llvm::SmallVector<llvm::ReturnInst*, 4> returns;
    llvm::CloneFunctionInto(&to, &from, values_, llvm::CloneFunctionChangeType::DifferentModule,
                            returns, "", nullptr, &types_, this);
    drop_target_attributes(to);
    to.setSection("");
    to.setComdat(nullptr);
    mark_constant_loads(from);
    clean(to);
  }

  // Nothing writes `constant` memory during a dispatch.
  void mark_constant_loads(llvm::Function& from) {
    for (llvm::Instruction& old : llvm::instructions(from)) {
      auto* load = llvm::dyn_cast<llvm::LoadInst>(&old);
      if (!load || load->getPointerAddressSpace() != 2 || load->isVolatile())
        continue;
      llvm::Value* copy = values_.lookup(&old);
      if (auto* copied = llvm::dyn_cast_or_null<llvm::LoadInst>(copy))
        copied->setMetadata(llvm::LLVMContext::MD_invariant_load,
                            llvm::MDNode::get(target_.getContext(), {}));
    }
  }

  static void clean(llvm::Function& function) {
    for (llvm::Instruction& instruction :
         llvm::make_early_inc_range(llvm::instructions(function))) {
      if (llvm::isa<llvm::AddrSpaceCastInst>(instruction)) {
        instruction.replaceAllUsesWith(instruction.getOperand(0));
        instruction.eraseFromParent();
        continue;
      }
      if (llvm::MDNode* loop = instruction.getMetadata(llvm::LLVMContext::MD_loop))
        instruction.setMetadata(llvm::LLVMContext::MD_loop, without_mustprogress(loop));
      if (auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction))
        call->setTailCall(false); // a tail call may not refer to the caller's allocas
    }
  }

  static llvm::MDNode* without_mustprogress(llvm::MDNode* loop) {
    llvm::SmallVector<llvm::Metadata*, 4> operands{nullptr};
    bool changed = false;
    for (const llvm::MDOperand& operand : llvm::drop_begin(loop->operands())) {
      const auto* node = llvm::dyn_cast_or_null<llvm::MDNode>(operand.get());
      const auto* name = node && node->getNumOperands() > 0
                             ? llvm::dyn_cast_or_null<llvm::MDString>(node->getOperand(0).get())
                             : nullptr;
      if (name && name->getString() == "llvm.loop.mustprogress")
        changed = true;
      else
        operands.push_back(operand.get());
    }
    if (!changed)
      return loop;
    if (operands.size() == 1)
      return nullptr;
    llvm::MDNode* result = llvm::MDNode::getDistinct(loop->getContext(), operands);
    result->replaceOperandWith(0, result);
    return result;
  }

  llvm::Module& target_;
  llvm::ValueToValueMapTy values_;
  CollapseAddressSpaces types_;
  std::vector<llvm::Function*> todo_;
};

} // namespace

ExtractedKernel extract(const air::EntryPoint& entry, const llvm::DataLayout& layout,
                        const std::string& triple) {
  ExtractedKernel kernel;
  kernel.module = std::make_unique<llvm::Module>(entry.name, entry.function->getContext());
  kernel.module->setDataLayout(layout);
  kernel.module->setTargetTriple(triple);
  if (entry.function->getParent()->getModuleFlag("Debug Info Version"))
    kernel.module->addModuleFlag(llvm::Module::Warning, "Debug Info Version",
                                 llvm::DEBUG_METADATA_VERSION);
  kernel.function = Extractor(*kernel.module).copy(*entry.function);
  for (llvm::Function& function : *kernel.module)
    if (!function.isDeclaration() && &function != kernel.function)
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
  return kernel;
}

} // namespace metalwright::simt
