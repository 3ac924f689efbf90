// Gives function constants their values and evaluates what static initialisers derive from them.
#include "air/function_constants.h"

#include "errors.h"

#include <llvm/ADT/APFloat.h>
#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/ADT/StringSwitch.h>
#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/TargetParser/Triple.h>
#include <llvm/Transforms/Utils/Evaluator.h>

#include <cmath>
#include <optional>
#include <set>

namespace metalwright::air {

namespace {

[[noreturn]] void invalid(const std::string& what) {
  throw Error(errors::invalid_air, "!air.function_constants: " + what);
}

std::string describe(const FunctionConstant& constant) {
  return "function constant '" + constant.name + "' (index " + std::to_string(constant.index) +
         ", " + constant.type_name + ")";
}

// ------------------------------------------------------------------------------ values

struct ScalarType {
  enum Kind { boolean, signed_integer, unsigned_integer, floating } kind;
  unsigned bits;
};

std::optional<ScalarType> scalar_type(llvm::StringRef name) {
  using Result = std::optional<ScalarType>;
  return llvm::StringSwitch<Result>(name)
      .Case("bool", ScalarType{ScalarType::boolean, 8})
      .Case("char", ScalarType{ScalarType::signed_integer, 8})
      .Case("uchar", ScalarType{ScalarType::unsigned_integer, 8})
      .Case("short", ScalarType{ScalarType::signed_integer, 16})
      .Case("ushort", ScalarType{ScalarType::unsigned_integer, 16})
      .Case("int", ScalarType{ScalarType::signed_integer, 32})
      .Case("uint", ScalarType{ScalarType::unsigned_integer, 32})
      .Case("long", ScalarType{ScalarType::signed_integer, 64})
      .Case("ulong", ScalarType{ScalarType::unsigned_integer, 64})
      .Cases("half", "bfloat", ScalarType{ScalarType::floating, 16})
      .Case("float", ScalarType{ScalarType::floating, 32})
      .Default(std::nullopt);
}

bool fits(std::int64_t value, const ScalarType& type) {
  if (type.kind == ScalarType::signed_integer)
    return type.bits == 64 || (value >= -(std::int64_t{1} << (type.bits - 1)) &&
                               value < (std::int64_t{1} << (type.bits - 1)));
  // An unsigned 64-bit value above 2^63 cannot arrive as anything but a negative number.
  return type.bits == 64 || (value >= 0 && value < (std::int64_t{1} << type.bits));
}

llvm::Constant* convert(const ConstantNumber& number, const ScalarType& type, llvm::Type* llvm_type,
                        const FunctionConstant& constant) {
  auto wrong = [&](const std::string& given) -> void {
    throw Error(errors::wrong_function_constant_type,
                describe(constant) + " cannot be set to " + given);
  };
  if (type.kind == ScalarType::floating) {
    double value = 0;
    if (const auto* real = std::get_if<double>(&number))
      value = *real;
    else if (const auto* integer = std::get_if<std::int64_t>(&number))
      value = static_cast<double>(*integer);
    else
      wrong("a bool: give a number");
    return llvm::ConstantFP::get(llvm_type, value);
  }
  std::int64_t value = 0;
  if (const auto* boolean = std::get_if<bool>(&number))
    value = *boolean ? 1 : 0;
  else if (const auto* integer = std::get_if<std::int64_t>(&number))
    value = *integer;
  else
    wrong("a floating-point number: give " +
          std::string(type.kind == ScalarType::boolean ? "a bool" : "an integer"));
  if (type.kind == ScalarType::boolean && value != 0 && value != 1)
    wrong(std::to_string(value) + ": give a bool");
  if (type.kind != ScalarType::boolean && !fits(value, type))
    wrong(std::to_string(value) + ": it is out of the type's range");
  return llvm::ConstantInt::get(llvm_type, static_cast<std::uint64_t>(value), true);
}

llvm::Constant* make_value(const FunctionConstantGlobal& info, const ConstantValue& value) {
  llvm::StringRef name = info.constant.type_name;
  std::size_t count = 1;
  if (!name.empty() && name.back() >= '2' && name.back() <= '4') {
    count = static_cast<std::size_t>(name.back() - '0');
    name = name.drop_back();
  }
  std::optional<ScalarType> type = scalar_type(name);
  llvm::Type* llvm_type = info.global->getValueType();
  auto* vector_type = llvm::dyn_cast<llvm::FixedVectorType>(llvm_type);
  llvm::Type* element_type = llvm_type->getScalarType();
  if (!type || (vector_type ? vector_type->getNumElements() : 1) != count ||
      (type->kind == ScalarType::floating ? !element_type->isFloatingPointTy()
                                          : !element_type->isIntegerTy()))
    invalid(describe(info.constant) + " has a type that does not fit its global");
  if (value.elements.size() != count)
    throw Error(errors::wrong_function_constant_type,
                describe(info.constant) + " takes " + std::to_string(count) + " value" +
                    (count == 1 ? "" : "s") + ", but " + std::to_string(value.elements.size()) +
                    (value.elements.size() == 1 ? " was" : " were") + " given");
  std::vector<llvm::Constant*> elements;
  for (const ConstantNumber& number : value.elements)
    elements.push_back(convert(number, *type, element_type, info.constant));
  return vector_type ? llvm::ConstantVector::get(elements) : elements.front();
}

// ------------------------------------------------------------------------------ what uses what

bool is_static_initialiser(const llvm::Function& function) {
  return !function.isDeclaration() && function.getSection() == "air.static_init";
}

void collect_globals(const llvm::Value* value, std::set<const llvm::GlobalVariable*>& found,
                     llvm::SmallPtrSetImpl<const llvm::Function*>& functions,
                     std::vector<const llvm::Function*>& todo) {
  const auto* constant = llvm::dyn_cast<llvm::Constant>(value);
  if (!constant)
    return;
  if (const auto* global = llvm::dyn_cast<llvm::GlobalVariable>(constant)) {
    found.insert(global);
    return;
  }
  if (const auto* function = llvm::dyn_cast<llvm::Function>(constant)) {
    if (functions.insert(function).second)
      todo.push_back(function);
    return;
  }
  for (const llvm::Use& operand : constant->operands())
    collect_globals(operand.get(), found, functions, todo);
}

std::set<const llvm::GlobalVariable*> reachable_globals(const llvm::Function& root) {
  std::set<const llvm::GlobalVariable*> found;
  llvm::SmallPtrSet<const llvm::Function*, 16> functions;
  std::vector<const llvm::Function*> todo{&root};
  functions.insert(&root);
  while (!todo.empty()) {
    const llvm::Function* function = todo.back();
    todo.pop_back();
    for (const llvm::Instruction& instruction : llvm::instructions(*function))
      for (const llvm::Use& operand : instruction.operands())
        collect_globals(operand.get(), found, functions, todo);
  }
  return found;
}

// A global that a static initialiser stores to depends on every global that the initialiser's
// stored value is computed from. One round is enough: initialisers read only function constants.
void add_initialiser_sources(const llvm::Module& module,
                             std::set<const llvm::GlobalVariable*>& globals) {
  for (const llvm::Function& function : module) {
    if (!is_static_initialiser(function))
      continue;
    for (const llvm::Instruction& instruction : llvm::instructions(function)) {
      const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction);
      if (!store)
        continue;
      const auto* target = llvm::dyn_cast<llvm::GlobalVariable>(
          store->getPointerOperand()->stripInBoundsConstantOffsets());
      if (!target || !globals.contains(target))
        continue;
      std::vector<const llvm::Value*> todo{store->getValueOperand()};
      llvm::SmallPtrSet<const llvm::Value*, 16> seen;
      while (!todo.empty()) {
        const llvm::Value* value = todo.back();
        todo.pop_back();
        if (!seen.insert(value).second)
          continue;
        if (const auto* load = llvm::dyn_cast<llvm::LoadInst>(value))
          if (const auto* source = llvm::dyn_cast<llvm::GlobalVariable>(load->getPointerOperand()))
            globals.insert(source);
        if (const auto* user = llvm::dyn_cast<llvm::Instruction>(value))
          todo.insert(todo.end(), user->value_op_begin(), user->value_op_end());
      }
    }
  }
}

// ------------------------------------------------------------------------------ substitution

void replace_loads(llvm::GlobalVariable& global) {
  llvm::Constant* value = global.getInitializer();
  for (llvm::User* user : llvm::make_early_inc_range(global.users()))
    if (auto* load = llvm::dyn_cast<llvm::LoadInst>(user);
        load && load->getType() == value->getType()) {
      load->replaceAllUsesWith(value);
      load->eraseFromParent();
    }
}

// `air.normalize_function_constant_predicate(x)` is `x != 0`, in x's own type.
void lower_normalize(llvm::Module& module) {
  for (llvm::Function& function : llvm::make_early_inc_range(module)) {
    if (!function.getName().starts_with("air.normalize_function_constant_predicate"))
      continue;
    for (llvm::User* user : llvm::make_early_inc_range(function.users())) {
      auto* call = llvm::dyn_cast<llvm::CallInst>(user);
      if (!call || call->getCalledFunction() != &function || call->arg_size() != 1 ||
          !call->getType()->isIntegerTy() || call->getArgOperand(0)->getType() != call->getType())
        invalid("air.normalize_function_constant_predicate is used in an unknown way");
      llvm::IRBuilder<> builder(call);
      llvm::Value* is_set = builder.CreateIsNotNull(call->getArgOperand(0));
      call->replaceAllUsesWith(builder.CreateZExt(is_set, call->getType()));
      call->eraseFromParent();
    }
    function.eraseFromParent();
  }
}

// Questions of is_function_constant_defined(); what they are about must be a function constant.
void answer_questions(llvm::Module& module, const std::vector<FunctionConstantGlobal>& constants,
                      const std::vector<const ConstantValue*>& given) {
  llvm::Function* function = module.getFunction("air.is_function_constant_defined");
  if (!function)
    return;
  for (llvm::User* user : llvm::make_early_inc_range(function->users())) {
    auto* call = llvm::dyn_cast<llvm::CallInst>(user);
    if (!call || call->getCalledFunction() != function || call->arg_size() != 1 ||
        !call->getType()->isIntegerTy())
      invalid("air.is_function_constant_defined is used in an unknown way");
    const llvm::Value* asked = call->getArgOperand(0)->stripPointerCasts();
    std::size_t index = 0;
    while (index < constants.size() && constants[index].global != asked)
      ++index;
    if (index == constants.size())
      invalid("is_function_constant_defined takes the name of a function constant");
    call->replaceAllUsesWith(llvm::ConstantInt::get(call->getType(), given[index] ? 1 : 0));
    call->eraseFromParent();
  }
  function->eraseFromParent();
}

void evaluate_static_initialisers(llvm::Module& module) {
  llvm::TargetLibraryInfoImpl library_info{llvm::Triple(module.getTargetTriple())};
  llvm::TargetLibraryInfo target_library(library_info);
  for (llvm::Function& function : llvm::make_early_inc_range(module)) {
    if (!is_static_initialiser(function))
      continue;
    llvm::Evaluator evaluator(module.getDataLayout(), &target_library);
    llvm::Constant* result = nullptr;
    const llvm::SmallVector<llvm::Constant*, 0> no_arguments;
    if (!evaluator.EvaluateFunction(&function, result, no_arguments))
      throw Error(errors::invalid_air, "the static initialiser '" + function.getName().str() +
                                           "' cannot be evaluated before the kernel runs");
    for (const auto& [global, value] : evaluator.getMutatedInitializers()) {
      global->setInitializer(value);
      global->setConstant(true);
      replace_loads(*global);
    }
    if (function.use_empty())
      function.eraseFromParent();
  }
}

} // namespace

std::vector<FunctionConstantGlobal> read_function_constants(llvm::Module& module) {
  std::vector<FunctionConstantGlobal> constants;
  const llvm::NamedMDNode* list = module.getNamedMetadata("air.function_constants");
  if (!list)
    return constants;
  for (const llvm::MDNode* node : list->operands()) {
    if (node->getNumOperands() < 5)
      invalid("a node has fewer than five operands");
    FunctionConstantGlobal info;
    const auto* value = llvm::dyn_cast_or_null<llvm::ValueAsMetadata>(node->getOperand(0).get());
    info.global = value ? llvm::dyn_cast<llvm::GlobalVariable>(value->getValue()) : nullptr;
    if (!info.global || info.global->getAddressSpace() != 2)
      invalid("a node does not begin with a global in address space 2");
    const bool apple = llvm::isa_and_nonnull<llvm::MDString>(node->getOperand(1).get());
    auto text = [&](unsigned i) {
      const auto* string = llvm::dyn_cast_or_null<llvm::MDString>(node->getOperand(i).get());
      if (!string)
        invalid("a name or a type is not a string");
      return string->getString().str();
    };
    auto number = [&](unsigned i) {
      const auto* constant =
          llvm::mdconst::dyn_extract_or_null<llvm::ConstantInt>(node->getOperand(i).get());
      if (!constant || constant->getValue().getActiveBits() > 32)
        invalid("an index is not a number");
      return static_cast<unsigned>(constant->getZExtValue());
    };
    info.constant.type_name = text(apple ? 1 : 3);
    info.constant.name = text(2);
    info.constant.index = number(apple ? 3 : 1);
    info.constant.required = number(4) != 0;
    constants.push_back(std::move(info));
  }
  return constants;
}

void specialise(llvm::Module& module, EntryPoint& entry, const ConstantValues& values) {
  std::vector<FunctionConstantGlobal> constants = read_function_constants(module);
  std::vector<const ConstantValue*> given(constants.size(), nullptr);
  for (const auto& [key, value] : values) {
    bool found = false;
    for (std::size_t i = 0; i < constants.size(); ++i)
      if (constants[i].constant.name == key || std::to_string(constants[i].constant.index) == key) {
        given[i] = &value;
        found = true;
      }
    if (!found) {
      std::string known;
      for (const FunctionConstantGlobal& info : constants)
        known += (known.empty() ? "" : ", ") + info.constant.name;
      throw Error(errors::no_such_function_constant,
                  "there is no function constant '" + key + "'; " +
                      (known.empty() ? "this library declares none" : "there are: " + known));
    }
  }
  if (constants.empty())
    return;

  std::set<const llvm::GlobalVariable*> used = reachable_globals(*entry.function);
  used.insert(entry.conditions.begin(), entry.conditions.end());
  add_initialiser_sources(module, used);
  answer_questions(module, constants, given);
  for (std::size_t i = 0; i < constants.size(); ++i) {
    const FunctionConstantGlobal& info = constants[i];
    if (!given[i] && info.constant.required && used.contains(info.global))
      throw Error(errors::missing_function_constant,
                  "kernel '" + entry.name + "' needs a value for " + describe(info.constant));
    llvm::GlobalVariable& global = *info.global;
    global.setLinkage(llvm::GlobalValue::InternalLinkage);
    global.setExternallyInitialized(false);
    global.setInitializer(given[i] ? make_value(info, *given[i])
                                   : llvm::Constant::getNullValue(global.getValueType()));
    global.setConstant(true);
    replace_loads(global);
  }
  lower_normalize(module);
  evaluate_static_initialisers(module);
  // None is left to be set, and a list of what is not there would make the printed module invalid.
  module.eraseNamedMetadata(module.getNamedMetadata("air.function_constants"));
  for (std::size_t i = 0; i < entry.arguments.size(); ++i)
    if (const llvm::GlobalVariable* condition = entry.conditions[i]) {
      if (!condition->hasInitializer() || llvm::isa<llvm::UndefValue>(condition->getInitializer()))
        invalid("the condition of argument '" + entry.arguments[i].name +
                "' does not follow from the function constants");
      entry.arguments[i].is_active = !condition->getInitializer()->isNullValue();
    }
}

} // namespace metalwright::air
