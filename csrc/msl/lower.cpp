// From Clang's output to AIR: entry points, metadata and canonical form.
#include "msl/lower.h"

#include "msl/observable.h"
#include "msl/target.h"

#include <clang/AST/GlobalDecl.h>
#include <llvm/ADT/SCCIterator.h>
#include <llvm/Analysis/AliasAnalysis.h>
#include <llvm/Analysis/CallGraph.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/PassManager.h>
#include <llvm/IR/ReplaceConstant.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Transforms/IPO/AlwaysInliner.h>
#include <llvm/Transforms/IPO/GlobalDCE.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/InferAddressSpaces.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/ModuleUtils.h>

namespace metalwright::msl {
namespace {

using llvm::Type;

// What functions of the library ask about the thread that calls them, and the built-in argument of
// the kernel that is the answer.
constexpr std::pair<llvm::StringRef, const char*> kQuestions[] = {
    {"air.msl_simdgroup_index_in_threadgroup", "simdgroup_index_in_threadgroup"},
    {"air.get_thread_index_in_simdgroup.i16", "thread_index_in_simdgroup"},
};

class Lowering {
 public:
  Lowering(llvm::Module& module, clang::CodeGenerator& generator, const CompileOptions& options)
      : module_(module), context_(module.getContext()), generator_(generator), options_(options) {}

  std::string run(const EntryPoints& entry_points) {
    module_.setTargetTriple(kAirTriple);
    module_.setDataLayout(kAirDataLayout);
    drop_calls_of("llvm.var.annotation");
    drop_member_annotations();
    drop_promises_about_this();
    cast_addresses_of_results();
    resolve_default_functions();
    describe_intrinsics();
    convert_to_integer();
    for (const KernelDeclaration& kernel : entry_points.kernels)
      wrap(kernel);
    function_constants(entry_points);
    internalise();
    if (std::string problem = recursion(); !problem.empty())
      return problem;
    static_initialisers();
    simplify();
    module_metadata();
    return problem_;
  }

 private:
  // ------------------------------------------------------------------ metadata helpers
  llvm::Metadata* text(llvm::StringRef value) { return llvm::MDString::get(context_, value); }
  llvm::Metadata* number(uint64_t value) {
    return llvm::ConstantAsMetadata::get(llvm::ConstantInt::get(Type::getInt32Ty(context_), value));
  }
  llvm::Metadata* function_or_global(llvm::Constant* value) {
    return llvm::ConstantAsMetadata::get(value);
  }

  // A function that returns a structure gets the address where it belongs. For a variable of
  // another address space Clang hands over that variable's own address, though the parameter is
  // generic: `constant float3x3 t = transpose(m)`. Inlining would then build instructions of wrong
  // types.
  void cast_addresses_of_results() {
    for (llvm::Function& function : module_)
      for (llvm::Instruction& instruction : llvm::instructions(function)) {
        auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
        if (!call)
          continue;
        const llvm::FunctionType* type = call->getFunctionType();
        for (unsigned i = 0; i < type->getNumParams(); ++i) {
          llvm::Value* argument = call->getArgOperand(i);
          llvm::Type* wanted = type->getParamType(i);
          if (argument->getType() != wanted && argument->getType()->isPointerTy() &&
              wanted->isPointerTy())
            call->setArgOperand(i, llvm::IRBuilder<>(call).CreateAddrSpaceCast(argument, wanted));
        }
      }
  }

  // ------------------------------------------------------------------ maths
  // `exp(x)` is `air.default_exp`; the options say which of the two variants it means.
  void resolve_default_functions() {
    const MathFunctions functions = options_.math_functions.value_or(
        options_.math_mode == MathMode::safe ? MathFunctions::precise : MathFunctions::fast);
    for (llvm::Function& function : llvm::make_early_inc_range(module_)) {
      llvm::StringRef name = function.getName();
      if (!function.isDeclaration() || !name.consume_front("air.default_"))
        continue;
      // Only float has two variants: half and bfloat are computed in float and rounded anyway.
      const bool fast = functions == MathFunctions::fast && name.contains("f32");
      const std::string target = ((fast ? "air.fast_" : "air.") + name).str();
      if (llvm::Function* existing = module_.getFunction(target)) {
        function.replaceAllUsesWith(existing);
        function.eraseFromParent();
      } else {
        function.setName(target);
      }
    }
  }

  // Intrinsics that are said to have no effect on memory: those without pointers that do not
  // communicate with other threads.
  void describe_intrinsics() {
    for (llvm::Function& function : module_) {
      if (!function.isDeclaration() || !function.getName().starts_with("air."))
        continue;
      function.setDoesNotThrow();
      function.removeFnAttr("no-builtins");
      if (function.isConvergent() || function.getReturnType()->isVoidTy() ||
          llvm::any_of(function.args(),
                       [](const llvm::Argument& a) { return a.getType()->isPointerTy(); }))
        continue;
      function.setDoesNotAccessMemory();
      function.setWillReturn();
      function.setSpeculatable();
    }
  }

  // What the code generator leaves for others to read: of no use here, and in the way of promoting
  // variables to registers.
  void drop_calls_of(llvm::StringRef prefix) {
    for (llvm::Function& function : llvm::make_early_inc_range(module_)) {
      if (!function.isDeclaration() || !function.getName().starts_with(prefix))
        continue;
      for (llvm::User* user : llvm::make_early_inc_range(function.users())) {
        auto* call = llvm::cast<llvm::CallInst>(user);
        if (!call->getType()->isVoidTy())
          call->replaceAllUsesWith(llvm::PoisonValue::get(call->getType()));
        call->eraseFromParent();
      }
      function.eraseFromParent();
    }
  }

  // `[[id(n)]]` on a member wraps each access to it.
  void drop_member_annotations() {
    for (llvm::Function& function : llvm::make_early_inc_range(module_)) {
      if (!function.isDeclaration() || !function.getName().starts_with("llvm.ptr.annotation"))
        continue;
      for (llvm::User* user : llvm::make_early_inc_range(function.users())) {
        auto* call = llvm::cast<llvm::CallInst>(user);
        call->replaceAllUsesWith(call->getArgOperand(0));
        call->eraseFromParent();
      }
      function.eraseFromParent();
    }
  }

  // `this` of a member that is qualified with an address space is `restrict` for a reason of
  // overload resolution only (clang_attributes.cpp).
  void drop_promises_about_this() {
    for (llvm::Function& function : module_)
      for (llvm::Argument& argument : function.args())
        if (argument.getName() == "this")
          argument.removeAttr(llvm::Attribute::NoAlias);
  }

  // What C++ leaves undefined is defined in Metal: a conversion of a value that does not fit
  // saturates, as `air.convert` does.
  void convert_to_integer() {
    std::vector<llvm::Instruction*> conversions;
    for (llvm::Function& function : module_)
      for (llvm::Instruction& instruction : llvm::instructions(function))
        if (llvm::isa<llvm::FPToSIInst, llvm::FPToUIInst>(instruction))
          conversions.push_back(&instruction);
    for (llvm::Instruction* instruction : conversions) {
      Type* from = instruction->getOperand(0)->getType();
      Type* to = instruction->getType();
      const bool is_signed = llvm::isa<llvm::FPToSIInst>(instruction);
      const std::string name = std::string("air.convert.") + (is_signed ? "s." : "u.") +
                               mangled(to) + ".f." + mangled(from);
      llvm::FunctionCallee callee = module_.getOrInsertFunction(name, to, from);
      auto* function = llvm::cast<llvm::Function>(callee.getCallee());
      function->setDoesNotAccessMemory();
      function->setDoesNotThrow();
      function->setWillReturn();
      llvm::IRBuilder<> builder(instruction);
      instruction->replaceAllUsesWith(builder.CreateCall(callee, instruction->getOperand(0)));
      instruction->eraseFromParent();
    }
  }
  static std::string mangled(Type* type) {
    std::string text;
    if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type)) {
      text = "v" + std::to_string(vector->getNumElements());
      type = vector->getElementType();
    }
    if (type->isBFloatTy())
      return text + "bf16";
    if (type->isIntegerTy())
      return text + "i" + std::to_string(type->getIntegerBitWidth());
    return text + "f" + std::to_string(type->getPrimitiveSizeInBits().getFixedValue());
  }

  // ------------------------------------------------------------------ entry points
  // A function of AIR's signature that calls what Clang generated, where built-ins of three
  // components are structures passed by reference.
  void wrap(const KernelDeclaration& kernel) {
    auto* body = llvm::cast<llvm::Function>(
        generator_.GetAddrOfGlobal(clang::GlobalDecl(kernel.function), false)->stripPointerCasts());
    std::vector<Type*> types;
    for (const KernelParameter& parameter : kernel.parameters)
      types.push_back(parameter.built_in
                          ? built_in_type(parameter)
                          : Type::getInt8Ty(context_)->getPointerTo(parameter.address_space));
    // Behind the arguments that were written: the shapes of tensors, and what functions of the
    // library ask for.
    for (const KernelParameter& parameter : kernel.parameters)
      if (parameter.tensor_rank != 0)
        types.push_back(Type::getInt8Ty(context_)->getPointerTo(kConstantSpace));
    for (const auto& [question, answer] : kQuestions)
      if (module_.getFunction(question))
        types.push_back(Type::getInt16Ty(context_));
    auto* wrapper =
        llvm::Function::Create(llvm::FunctionType::get(Type::getVoidTy(context_), types, false),
                               llvm::GlobalValue::ExternalLinkage, "", module_);
    if (llvm::GlobalValue* other = module_.getNamedValue(kernel.name))
      other->setName(kernel.name + ".body"); // extern "C", or a variable of that name
    wrapper->setName(kernel.name);
    wrapper->addFnAttr(llvm::Attribute::NoUnwind);
    for (const llvm::Attribute attribute : body->getAttributes().getFnAttrs())
      if (attribute.isStringAttribute() && attribute.getKindAsString().starts_with("no-"))
        wrapper->addFnAttr(attribute);
    llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context_, "entry", wrapper));
    std::vector<llvm::Value*> arguments;
    auto shape = static_cast<unsigned>(kernel.parameters.size());
    for (size_t i = 0; i < kernel.parameters.size(); ++i) {
      llvm::Argument* argument = wrapper->getArg(static_cast<unsigned>(i));
      const KernelParameter& parameter = kernel.parameters[i];
      argument->setName(parameter.declaration->getName());
      Type* expected = body->getFunctionType()->getParamType(static_cast<unsigned>(i));
      llvm::Value* value = argument;
      if (parameter.kind == ParameterKind::texture || parameter.kind == ParameterKind::sampler) {
        value = handle(builder, parameter, argument, expected);
      } else if (parameter.tensor_rank != 0) {
        wrapper->getArg(shape)->setName(parameter.declaration->getName() + ".shape");
        value = tensor(builder, parameter, argument, wrapper->getArg(shape++), expected);
      } else if (!parameter.built_in) {
        if (!argument->getType()->isPointerTy() || expected != argument->getType())
          value = builder.CreateAddrSpaceCast(argument, expected);
        wrapper->addParamAttr(static_cast<unsigned>(i),
                              llvm::Attribute::get(context_, "air-buffer-no-alias"));
      } else if (expected != argument->getType()) {
        // Indirect, with room for the padding that a three-component structure has.
        llvm::AllocaInst* memory = builder.CreateAlloca(argument->getType());
        memory->setAlignment(llvm::Align(16));
        builder.CreateStore(argument, memory);
        value = expected->isPointerTy() ? static_cast<llvm::Value*>(memory)
                                        : builder.CreateLoad(expected, memory);
      }
      arguments.push_back(value);
    }
    llvm::CallInst* call = builder.CreateCall(body, arguments);
    // Of the attributes, only what the convention of passing by reference is made of.
    llvm::AttributeList attributes;
    for (unsigned i = 0; i < arguments.size(); ++i)
      if (body->hasParamAttribute(i, llvm::Attribute::ByVal))
        attributes = attributes.addParamAttribute(
            context_, i, body->getParamAttribute(i, llvm::Attribute::ByVal));
    call->setAttributes(attributes);
    call->setCallingConv(body->getCallingConv());
    builder.CreateRetVoid();
    describe(kernel, wrapper, body);
  }

  // A texture is a class around a pointer here and the pointer in AIR; a sampler is its state here
  // and a pointer to that in AIR.
  llvm::Value* handle(llvm::IRBuilder<>& builder, const KernelParameter& parameter,
                      llvm::Argument* argument, Type* expected) {
    llvm::Value* value = argument;
    if (parameter.kind == ParameterKind::sampler)
      value =
          builder.CreateCall(module_.getOrInsertFunction("air.get_sampler_state_texture_1d",
                                                         builder.getInt64Ty(), argument->getType()),
                             {argument});
    llvm::AllocaInst* memory = builder.CreateAlloca(value->getType());
    memory->setAlignment(llvm::Align(8));
    builder.CreateStore(value, memory);
    const bool indirect = expected->isPointerTy() && expected->getPointerAddressSpace() == 0;
    return indirect ? static_cast<llvm::Value*>(memory) : builder.CreateLoad(expected, memory);
  }

  // A tensor is a class here (csrc/msl/stdlib/metal_tensor.h): the address, the
  // extents and one more number, the strides and one more. In AIR it is its
  // memory, and the extents and strides as 64-bit integers in constant memory.
  llvm::Value* tensor(llvm::IRBuilder<>& builder, const KernelParameter& parameter,
                      llvm::Argument* data, llvm::Argument* shape, Type* expected) {
    const uint64_t rank = parameter.tensor_rank, width = parameter.index_bytes;
    const uint64_t size = llvm::alignTo(8 + 2 * (rank + 1) * width, 8);
    llvm::AllocaInst* memory =
        builder.CreateAlloca(llvm::ArrayType::get(builder.getInt8Ty(), size));
    memory->setAlignment(llvm::Align(16));
    builder.CreateStore(data, memory);
    for (uint64_t i = 0; i < 2 * rank; ++i) {
      llvm::Value* number = builder.CreateAlignedLoad(
          builder.getInt64Ty(), builder.CreateConstInBoundsGEP1_64(builder.getInt64Ty(), shape, i),
          llvm::Align(8));
      const uint64_t slot = i < rank ? i : i + 1; // behind the extents' one more
      builder.CreateAlignedStore(
          builder.CreateTrunc(number, builder.getIntNTy(static_cast<unsigned>(width * 8))),
          builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), memory, 8 + slot * width),
          llvm::Align(width));
    }
    const bool indirect = expected->isPointerTy() && expected->getPointerAddressSpace() == 0;
    return indirect ? static_cast<llvm::Value*>(memory) : builder.CreateLoad(expected, memory);
  }

  Type* built_in_type(const KernelParameter& parameter) {
    const bool is_short = llvm::StringRef(parameter.type_name).starts_with("ushort");
    Type* scalar = is_short ? Type::getInt16Ty(context_) : Type::getInt32Ty(context_);
    const auto count = static_cast<unsigned>(parameter.size);
    return count == 1 ? scalar : llvm::FixedVectorType::get(scalar, count);
  }

  void describe(const KernelDeclaration& kernel, llvm::Function* wrapper, llvm::Function* body) {
    std::vector<llvm::Metadata*> arguments;
    for (size_t i = 0; i < kernel.parameters.size(); ++i) {
      const KernelParameter& parameter = kernel.parameters[i];
      std::vector<llvm::Metadata*> node{number(i)};
      const std::string name = parameter.declaration->getNameAsString();
      if (parameter.built_in) {
        node.push_back(text(("air." + parameter.built_in->name).str()));
        node.insert(node.end(), {text("air.arg_type_name"), text(parameter.type_name),
                                 text("air.arg_name"), text(name)});
      } else if (parameter.kind == ParameterKind::texture ||
                 parameter.kind == ParameterKind::sampler) {
        const bool texture = parameter.kind == ParameterKind::texture;
        node.push_back(text(texture ? "air.texture" : "air.sampler"));
        node.insert(node.end(), {text("air.location_index"), number(parameter.index), number(1)});
        if (texture)
          node.push_back(text("air." + parameter.access));
        node.insert(node.end(), {text("air.arg_type_name"), text(parameter.type_name),
                                 text("air.arg_name"), text(name)});
        if (parameter.function_constant)
          node.insert(node.end(), {text("air.function_constant"),
                                   function_or_global(global_of(parameter.function_constant))});
      } else {
        node.push_back(text(parameter.members.empty() ? "air.buffer" : "air.indirect_buffer"));
        if (parameter.is_reference)
          node.insert(node.end(), {text("air.buffer_size"), number(parameter.size)});
        node.insert(node.end(), {text("air.location_index"), number(parameter.index), number(1)});
        node.push_back(text(parameter.is_const ? "air.read" : "air.read_write"));
        if (!parameter.members.empty())
          node.insert(node.end(), {text("air.struct_type_info"), members(parameter.members)});
        node.insert(node.end(), {text("air.address_space"), number(parameter.address_space),
                                 text("air.arg_type_size"), number(parameter.size),
                                 text("air.arg_type_align_size"), number(parameter.alignment),
                                 text("air.arg_type_name"), text(parameter.type_name),
                                 text("air.arg_name"), text(name)});
        if (parameter.function_constant)
          node.insert(node.end(), {text("air.function_constant"),
                                   function_or_global(global_of(parameter.function_constant))});
      }
      if (!parameter.declaration->isUsed() && !parameter.declaration->isReferenced())
        node.push_back(text("air.arg_unused"));
      arguments.push_back(llvm::MDNode::get(context_, node));
    }
    for (const KernelParameter& parameter : kernel.parameters)
      if (parameter.tensor_rank != 0) {
        const uint64_t size = uint64_t{16} * parameter.tensor_rank;
        arguments.push_back(llvm::MDNode::get(
            context_,
            {number(arguments.size()), text("air.buffer"), text("air.buffer_size"), number(size),
             text("air.location_index"), number(parameter.shape_index), number(1), text("air.read"),
             text("air.address_space"), number(kConstantSpace), text("air.arg_type_size"),
             number(size), text("air.arg_type_align_size"), number(8), text("air.arg_type_name"),
             text("tensor_shape"), text("air.arg_name"),
             text(parameter.declaration->getNameAsString() + ".shape")}));
      }
    for (const auto& [question, answer] : kQuestions)
      if (module_.getFunction(question)) {
        llvm::Argument* argument = wrapper->getArg(static_cast<unsigned>(arguments.size()));
        argument->setName(question);
        arguments.push_back(llvm::MDNode::get(context_, {number(arguments.size()),
                                                         text((llvm::Twine("air.") + answer).str()),
                                                         text("air.arg_type_name"), text("ushort"),
                                                         text("air.arg_name"), text(answer)}));
      }
    if (kernel.max_threads != 0)
      wrapper->setMetadata("air.max_work_group_size",
                           llvm::MDNode::get(context_, {number(kernel.max_threads)}));
    module_.getOrInsertNamedMetadata("air.kernel")
        ->addOperand(llvm::MDNode::get(context_, {function_or_global(wrapper),
                                                  llvm::MDNode::get(context_, {}),
                                                  llvm::MDNode::get(context_, arguments)}));
    keep_.insert(wrapper);
    body->setDSOLocal(true);
  }

  llvm::Metadata* members(const std::vector<MemberDeclaration>& members) {
    std::vector<llvm::Metadata*> list;
    for (const MemberDeclaration& member : members) {
      std::vector<llvm::Metadata*> node{
          number(member.id), text(member.is_pointer ? "air.buffer" : "air.indirect_constant"),
          text("air.location_index"), number(member.id), number(1)};
      if (member.is_pointer)
        node.insert(node.end(), {text(member.is_const ? "air.read" : "air.read_write"),
                                 text("air.address_space"), number(member.address_space),
                                 text("air.arg_type_size"), number(member.size),
                                 text("air.arg_type_align_size"), number(member.alignment)});
      node.insert(node.end(), {text("air.arg_type_name"), text(member.type_name),
                               text("air.arg_name"), text(member.name)});
      list.insert(list.end(), {number(member.offset), number(member.is_pointer ? 8 : member.size),
                               number(0), text(member.type_name), text(member.name),
                               text("air.indirect_argument"), llvm::MDNode::get(context_, node)});
    }
    return llvm::MDNode::get(context_, list);
  }

  llvm::Constant* global_of(const clang::VarDecl* variable) {
    return llvm::cast<llvm::Constant>(
        generator_.GetAddrOfGlobal(clang::GlobalDecl(variable), false)->stripPointerCasts());
  }

  // ------------------------------------------------------------------ program scope
  void function_constants(const EntryPoints& entry_points) {
    if (entry_points.constants.empty())
      return;
    llvm::NamedMDNode* list = module_.getOrInsertNamedMetadata("air.function_constants");
    const llvm::SmallPtrSet<llvm::Value*, 4> optional = asked_about();
    for (const FunctionConstantDeclaration& constant : entry_points.constants) {
      auto* global = llvm::cast<llvm::GlobalVariable>(global_of(constant.variable));
      const bool required = !optional.contains(global);
      global = unwrapped(global);
      global->setConstant(false); // a load must not be folded before the value is known
      function_constants_.push_back(global);
      list->addOperand(llvm::MDNode::get(
          context_,
          {function_or_global(global), number(constant.index), text(constant.name),
           text(constant.type_name),
           llvm::ConstantAsMetadata::get(llvm::ConstantInt::getBool(context_, required))}));
    }
  }

  // What is_function_constant_defined() is asked about need not be given.
  llvm::SmallPtrSet<llvm::Value*, 4> asked_about() {
    llvm::SmallPtrSet<llvm::Value*, 4> result;
    if (const llvm::Function* function = module_.getFunction("air.is_function_constant_defined"))
      for (const llvm::User* user : function->users())
        if (const auto* call = llvm::dyn_cast<llvm::CallInst>(user))
          result.insert(call->getArgOperand(0)->stripPointerCasts());
    return result;
  }

  // A vector is a class of one member here and a plain vector in AIR.
  llvm::GlobalVariable* unwrapped(llvm::GlobalVariable* global) {
    Type* type = global->getValueType();
    while (auto* structure = llvm::dyn_cast<llvm::StructType>(type)) {
      if (structure->getNumElements() != 1)
        break;
      type = structure->getElementType(0);
    }
    if (type == global->getValueType())
      return global;
    auto* plain = new llvm::GlobalVariable(module_, type, false, llvm::GlobalValue::ExternalLinkage,
                                           nullptr, "", nullptr, llvm::GlobalValue::NotThreadLocal,
                                           global->getAddressSpace());
    plain->setAlignment(global->getAlign());
    plain->takeName(global);
    global->replaceAllUsesWith(plain);
    global->eraseFromParent();
    return plain;
  }

  void internalise() {
    for (llvm::Function& function : module_) {
      if (function.isDeclaration() || keep_.contains(&function))
        continue;
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
      function.setComdat(nullptr);
      function.removeFnAttr(llvm::Attribute::NoInline);
      function.removeFnAttr(llvm::Attribute::OptimizeNone);
      function.addFnAttr(llvm::Attribute::AlwaysInline);
    }
    for (llvm::GlobalVariable& global : module_.globals())
      if (!global.isDeclaration()) {
        if (global.getAddressSpace() == kThreadgroupSpace)
          global.setInitializer(llvm::UndefValue::get(global.getValueType()));
        if (!global.getName().starts_with("llvm."))
          global.setLinkage(llvm::GlobalValue::InternalLinkage);
        global.setComdat(nullptr);
      }
    // What Clang keeps for a linker is of no use to anyone here.
    for (const char* name : {"llvm.used", "llvm.compiler.used", "llvm.global.annotations"})
      if (llvm::GlobalVariable* list = module_.getGlobalVariable(name))
        list->eraseFromParent();
  }

  // Functions that call themselves stay functions. Each thread may take another number of steps in
  // them, so they cannot wait for other threads inside.
  std::string recursion() {
    llvm::CallGraph graph(module_);
    for (auto component = llvm::scc_begin(&graph); !component.isAtEnd(); ++component)
      if (component.hasCycle())
        for (const llvm::CallGraphNode* node : *component)
          if (llvm::Function* function = node->getFunction();
              function && !function->isDeclaration()) {
            if (synchronises(*node))
              return "'" + spelling_of(function) +
                     "' calls itself and waits for other threads: recursion around barriers and "
                     "simdgroup functions is not supported";
            function->removeFnAttr(llvm::Attribute::AlwaysInline);
            function->addFnAttr(llvm::Attribute::NoInline);
          }
    return {};
  }
  static bool synchronises(const llvm::CallGraphNode& start) {
    llvm::SmallPtrSet<const llvm::CallGraphNode*, 16> seen{&start};
    llvm::SmallVector<const llvm::CallGraphNode*, 16> pending{&start};
    while (!pending.empty())
      for (const auto& [call, callee] : *pending.pop_back_val()) {
        const llvm::Function* function = callee->getFunction();
        if (function && function->isDeclaration() && function->isConvergent())
          return true;
        if (seen.insert(callee).second)
          pending.push_back(callee);
      }
    return false;
  }
  std::string spelling_of(const llvm::Function* function) {
    const clang::Decl* declaration = generator_.GetDeclForMangledName(function->getName());
    if (const auto* named = llvm::dyn_cast_or_null<clang::NamedDecl>(declaration))
      return named->getQualifiedNameAsString();
    return function->getName().str();
  }

  // `constant int twice = 2 * n;` with a function constant n has no value until n has one. Each
  // kernel that reads such a variable computes it at its beginning, in a variable of its own.
  void static_initialisers() {
    llvm::GlobalVariable* constructors = module_.getGlobalVariable("llvm.global_ctors");
    if (!constructors)
      return;
    std::vector<llvm::Function*> initialisers;
    if (auto* list = llvm::dyn_cast<llvm::ConstantArray>(constructors->getInitializer()))
      for (const llvm::Use& entry : list->operands())
        if (auto* fields = llvm::dyn_cast<llvm::ConstantStruct>(entry))
          if (auto* function =
                  llvm::dyn_cast<llvm::Function>(fields->getOperand(1)->stripPointerCasts()))
            initialisers.push_back(function);
    constructors->eraseFromParent();
    for (llvm::Function* kernel : keep_) {
      llvm::IRBuilder<> builder(&*kernel->getEntryBlock().getFirstInsertionPt());
      for (llvm::Function* initialiser : initialisers)
        builder.CreateCall(initialiser);
    }
    has_initialisers_ = true;
  }

  // After inlining: a constant-space variable that a kernel stores to is one of those above.
  void localise_initialised_variables() {
    for (llvm::GlobalVariable& global : llvm::make_early_inc_range(module_.globals())) {
      if (global.isDeclaration() || global.getAddressSpace() != kConstantSpace ||
          global.isConstant())
        continue;
      global.removeDeadConstantUsers();
      // A class writes its members through an address that is an expression of constants.
      llvm::convertUsersOfConstantsToInstructions({&global});
      struct Copy {
        llvm::AllocaInst* memory = nullptr;
        llvm::Value* address = nullptr; // of the memory, as one in constant memory
      };
      std::map<llvm::Function*, Copy> copies;
      std::vector<llvm::Use*> uses;
      for (llvm::Use& use : global.uses())
        uses.push_back(&use);
      for (llvm::Use* use : uses) {
        auto* instruction = llvm::dyn_cast<llvm::Instruction>(use->getUser());
        if (!instruction)
          continue;
        Copy& copy = copies[instruction->getFunction()];
        if (!copy.memory) {
          // At the very beginning: a use may be a phi, whose operands have to be there before it.
          llvm::IRBuilder<> builder(
              &*instruction->getFunction()->getEntryBlock().getFirstInsertionPt());
          copy.memory = builder.CreateAlloca(global.getValueType());
          builder.CreateStore(global.getInitializer(), copy.memory);
          copy.address = builder.CreateAddrSpaceCast(copy.memory, global.getType());
        }
        // A cast to the generic space gets the memory itself: there and back is more than
        // InferAddressSpaces can follow through a loop.
        if (llvm::isa<llvm::AddrSpaceCastInst>(instruction) &&
            instruction->getType() == copy.memory->getType()) {
          instruction->replaceAllUsesWith(copy.memory);
          instruction->eraseFromParent();
        } else {
          use->set(copy.address);
        }
      }
      if (global.use_empty())
        global.eraseFromParent();
    }
  }

  // After inlining the library's questions have become the kernels'.
  void answer_questions() {
    for (const auto& [name, answer] : kQuestions) {
      llvm::Function* question = module_.getFunction(name);
      if (!question)
        continue;
      for (llvm::User* user : llvm::make_early_inc_range(question->users())) {
        auto* call = llvm::cast<llvm::CallInst>(user);
        llvm::Argument* found = nullptr;
        for (llvm::Argument& argument : call->getFunction()->args())
          if (argument.getName() == name)
            found = &argument;
        if (!found) {
          problem_ = "a function that calls itself asks for '" + std::string(answer) +
                     "': that is not supported; pass it as an argument";
          return;
        }
        call->replaceAllUsesWith(found);
        call->eraseFromParent();
      }
      question->eraseFromParent();
    }
  }

  // ------------------------------------------------------------------ canonical form
  void simplify() {
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
    // A constant that no kernel reads is part of the library all the same.
    llvm::appendToCompilerUsed(module_, function_constants_);
    if (options_.check)
      make_observable(module_);
    llvm::ModulePassManager inlining;
    inlining.addPass(llvm::AlwaysInlinerPass(/*InsertLifetimeIntrinsics=*/false));
    inlining.addPass(llvm::GlobalDCEPass());
    inlining.run(module_, modules);
    answer_questions();
    if (has_initialisers_) {
      drop_calls_of("llvm.invariant.start");
      localise_initialised_variables();
    }
    llvm::FunctionPassManager passes;
    if (!options_.check)
      passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
    passes.addPass(llvm::InferAddressSpacesPass(0));
    if (!options_.check) {
      passes.addPass(llvm::EarlyCSEPass());
      passes.addPass(llvm::SimplifyCFGPass());
    }
    llvm::ModulePassManager cleaning;
    cleaning.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(passes)));
    cleaning.addPass(llvm::GlobalDCEPass());
    modules.clear();
    functions.clear();
    cleaning.run(module_, modules);
    if (llvm::GlobalVariable* used = module_.getNamedGlobal("llvm.compiler.used"))
      used->eraseFromParent();
  }

  void module_metadata() {
    auto named = [&](llvm::StringRef name, std::vector<llvm::Metadata*> values) {
      module_.getOrInsertNamedMetadata(name)->addOperand(llvm::MDNode::get(context_, values));
    };
    named("air.version", {number(2), number(7), number(0)});
    named("air.language_version", {text("Metal"), number(options_.language_version >> 16),
                                   number(options_.language_version & 0xffff), number(0)});
    named("air.compile_options", {text("air.compile.denorms_disable")});
    named("air.compile_options",
          {text(options_.math_mode == MathMode::fast ? "air.compile.fast_math_enable"
                                                     : "air.compile.fast_math_disable")});
    if (llvm::NamedMDNode* identifier = module_.getNamedMetadata("llvm.ident"))
      identifier->eraseFromParent();
  }

  llvm::Module& module_;
  llvm::LLVMContext& context_;
  clang::CodeGenerator& generator_;
  const CompileOptions& options_;
  llvm::SmallPtrSet<llvm::Function*, 8> keep_;
  bool has_initialisers_ = false;
  std::string problem_;
  std::vector<llvm::GlobalValue*> function_constants_;
};

} // namespace

std::string lower_to_air(llvm::Module& module, clang::CodeGenerator& generator,
                         const EntryPoints& entry_points, const CompileOptions& options) {
  return Lowering(module, generator, options).run(entry_points);
}

} // namespace metalwright::msl
