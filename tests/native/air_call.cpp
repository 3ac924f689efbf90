// A test tool: calls one AIR intrinsic on arrays, through lower_intrinsics, LLVM's O3 pipeline and
// a JIT.
//
//   air_call [--time] [--emit air|lowered|llvm|asm] NAME RESULT OPERAND...
//
// `air_call --families` lists the table of intrinsics.
//
// NAME is a function (air.exp.f32) or a shift (ir.shl, ir.lshr, ir.ashr).
// Types are f32, f16, bf16, i1, i8 to i64, vectors of them (v4f32) and "void". An operand is a type
// (one array is read for it), `=TYPE:NUMBER` (an integer constant) or `>TYPE` (a pointer to a fresh
// local, whose value after the call is written out). Standard input: int64 count, then each
// operand's array in order. Standard output: the result's array, then each `>` operand's. i1 is one
// byte in memory. With --emit no input is read.
#include "simt/lower_intrinsics.h"
#include "simt/lowering.h"
#include "simt/shifts.h"

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/SourceMgr.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "air_call: %s\n", message.c_str());
  std::exit(2);
}

llvm::Type* parse_type(llvm::LLVMContext& context, llvm::StringRef name) {
  if (name == "void") {
    return llvm::Type::getVoidTy(context);
  }
  unsigned count = 0;
  if (name.consume_front("v") && name.consumeInteger(10, count)) {
    fail("bad vector type");
  }
  llvm::Type* scalar = nullptr;
  unsigned width = 0;
  if (name == "f32") {
    scalar = llvm::Type::getFloatTy(context);
  } else if (name == "f16") {
    scalar = llvm::Type::getHalfTy(context);
  } else if (name == "bf16") {
    scalar = llvm::Type::getBFloatTy(context);
  } else if (name.consume_front("i") && !name.getAsInteger(10, width)) {
    scalar = llvm::Type::getIntNTy(context, width);
  } else {
    fail("unknown type");
  }
  return count == 0 ? scalar : llvm::FixedVectorType::get(scalar, count);
}

// Arrays are packed: element i of a vector type is at i * elements * element size. i1 is a byte.
llvm::Type* memory_type(llvm::Type* type) {
  if (type->isIntOrIntVectorTy(1)) {
    llvm::Type* byte = llvm::Type::getInt8Ty(type->getContext());
    if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type)) {
      return llvm::FixedVectorType::get(byte, vector->getNumElements());
    }
    return byte;
  }
  return type;
}

std::uint64_t memory_size(llvm::Type* type) {
  type = memory_type(type);
  return type->getPrimitiveSizeInBits().getFixedValue() / 8;
}

struct Operand {
  llvm::Type* type = nullptr;
  bool is_constant = false;
  bool is_output = false;
  std::int64_t value = 0;
};

struct Builder {
  llvm::IRBuilder<> b;
  llvm::Value* index;

  llvm::Value* address(llvm::Value* array, llvm::Type* type) {
    return b.CreatePtrAdd(array, b.CreateMul(index, b.getInt64(memory_size(type))));
  }
  llvm::Value* load(llvm::Value* array, llvm::Type* type) {
    llvm::Value* value =
        b.CreateAlignedLoad(memory_type(type), address(array, type), llvm::Align(1));
    return memory_type(type) == type ? value : b.CreateTrunc(value, type);
  }
  void store(llvm::Value* value, llvm::Value* array, llvm::Type* type) {
    if (memory_type(type) != type) {
      value = b.CreateZExt(value, memory_type(type));
    }
    b.CreateAlignedStore(value, address(array, type), llvm::Align(1));
  }
};

// void run(i64 count, ptr* arrays): arrays hold the result, then the operands in order.
void build(llvm::Module& module, llvm::StringRef name, llvm::Type* result,
           const std::vector<Operand>& operands) {
  llvm::LLVMContext& context = module.getContext();
  llvm::IRBuilder<> b(context);
  std::vector<llvm::Type*> types;
  for (const Operand& operand : operands) {
    types.push_back(operand.is_output ? b.getPtrTy() : operand.type);
  }
  std::vector<llvm::Type*> parameters(operands.size() + 1, b.getPtrTy());
  parameters.insert(parameters.begin(), b.getInt64Ty());
  auto* run = llvm::Function::Create(llvm::FunctionType::get(b.getVoidTy(), parameters, false),
                                     llvm::Function::ExternalLinkage, "run", module);
  for (unsigned i = 1; i < parameters.size(); ++i) {
    run->addParamAttr(i, llvm::Attribute::NoAlias);
  }
  auto* entry = llvm::BasicBlock::Create(context, "entry", run);
  auto* loop = llvm::BasicBlock::Create(context, "loop", run);
  auto* exit = llvm::BasicBlock::Create(context, "exit", run);
  b.SetInsertPoint(entry);
  std::vector<llvm::Value*> locals;
  for (const Operand& operand : operands) {
    locals.push_back(operand.is_output ? b.CreateAlloca(operand.type) : nullptr);
  }
  b.CreateCondBr(b.CreateICmpSGT(run->getArg(0), b.getInt64(0)), loop, exit);
  b.SetInsertPoint(loop);
  auto* index = b.CreatePHI(b.getInt64Ty(), 2);
  index->addIncoming(b.getInt64(0), entry);
  Builder body{llvm::IRBuilder<>(loop), index};
  std::vector<llvm::Value*> values;
  for (unsigned i = 0; i < operands.size(); ++i) {
    const Operand& operand = operands[i];
    if (operand.is_output) {
      values.push_back(locals[i]);
    } else if (operand.is_constant) {
      values.push_back(
          llvm::ConstantInt::get(operand.type, static_cast<std::uint64_t>(operand.value)));
    } else {
      values.push_back(body.load(run->getArg(i + 2), operand.type));
    }
  }
  llvm::Value* value = nullptr;
  if (name.consume_front("ir.")) {
    const auto shift = name == "shl"    ? llvm::Instruction::Shl
                       : name == "lshr" ? llvm::Instruction::LShr
                                        : llvm::Instruction::AShr;
    value = body.b.CreateBinOp(shift, values.at(0), values.at(1));
  } else {
    value = body.b.CreateCall(
        module.getOrInsertFunction(name, llvm::FunctionType::get(result, types, false)), values);
  }
  if (!result->isVoidTy()) {
    body.store(value, run->getArg(1), result);
  }
  for (unsigned i = 0; i < operands.size(); ++i) {
    if (operands[i].is_output) {
      body.store(body.b.CreateLoad(operands[i].type, locals[i]), run->getArg(i + 2),
                 operands[i].type);
    }
  }
  llvm::Value* next = body.b.CreateAdd(index, body.b.getInt64(1));
  index->addIncoming(next, loop);
  body.b.CreateCondBr(body.b.CreateICmpEQ(next, run->getArg(0)), exit, loop);
  llvm::IRBuilder<>(exit).CreateRetVoid();
}

void optimize(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::PassBuilder passes(&machine);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(sccs);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, sccs, modules);
  passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(module, modules);
}

void read_all(void* target, std::size_t size) {
  if (std::fread(target, 1, size, stdin) != size) {
    fail("standard input is too short");
  }
}

template <typename Function> double least_nanoseconds(Function&& function) {
  using clock = std::chrono::steady_clock;
  double least = 1e30;
  const auto end = clock::now() + std::chrono::milliseconds(300);
  while (clock::now() < end) {
    const auto start = clock::now();
    for (int i = 0; i < 16; ++i) {
      function();
    }
    least = std::min(least,
                     std::chrono::duration<double, std::nano>(clock::now() - start).count() / 16);
  }
  return least;
}

} // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  std::string emit;
  if (arguments.size() >= 2 && arguments[0] == "--emit") {
    emit = arguments[1];
    arguments.erase(arguments.begin(), arguments.begin() + 2);
  }
  if (arguments.size() == 1 && arguments[0] == "--families") {
    for (const metalwright::simt::IntrinsicRow& row : metalwright::simt::intrinsic_rows()) {
      llvm::outs() << row.family << "\n";
    }
    return 0;
  }
  const bool is_timed = !arguments.empty() && arguments[0] == "--time";
  if (is_timed) {
    arguments.erase(arguments.begin());
  }
  if (arguments.size() < 2) {
    fail("usage: air_call [--emit air|lowered|llvm|asm] NAME RESULT OPERAND...");
  }
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  auto context = std::make_unique<llvm::LLVMContext>();
  auto module = std::make_unique<llvm::Module>("air_call", *context);
  auto host = llvm::cantFail(llvm::orc::JITTargetMachineBuilder::detectHost());
  host.setCodeGenOptLevel(llvm::CodeGenOptLevel::Aggressive);
  if (const char* processor =
          std::getenv("AIR_CALL_CPU")) { // code generation for another processor
    host = llvm::orc::JITTargetMachineBuilder(host.getTargetTriple());
    host.setCPU(processor);
  }
  auto machine = llvm::cantFail(host.createTargetMachine());
  module->setDataLayout(machine->createDataLayout());
  module->setTargetTriple(machine->getTargetTriple().str());

  llvm::Type* result = parse_type(*context, arguments[1]);
  std::vector<Operand> operands;
  for (std::size_t i = 2; i < arguments.size(); ++i) {
    llvm::StringRef text = arguments[i];
    Operand operand;
    operand.is_output = text.consume_front(">");
    operand.is_constant = text.consume_front("=");
    const auto [type, number] = text.split(':');
    operand.type = parse_type(*context, type);
    if (operand.is_constant && number.getAsInteger(0, operand.value)) {
      fail("bad constant");
    }
    operands.push_back(operand);
  }
  build(*module, arguments[0], result, operands);
  if (emit == "air") {
    module->print(llvm::outs(), nullptr);
    return 0;
  }
  for (const std::string& name : metalwright::simt::lower_intrinsics(*module)) {
    fail("not handled: " + name);
  }
  metalwright::simt::define_shifts(*module->getFunction("run"));
  if (llvm::verifyModule(*module, &llvm::errs())) {
    fail("the lowered module is not valid");
  }
  for (llvm::Function& function : *module) {
    if (!function.isDeclaration()) {
      function.addFnAttr("target-cpu", machine->getTargetCPU());
      function.addFnAttr("target-features", machine->getTargetFeatureString());
      function.addFnAttr("prefer-vector-width", "512");
    }
  }
  if (emit != "lowered") {
    optimize(*module, *machine);
  }
  if (emit == "llvm" || emit == "lowered") {
    module->print(llvm::outs(), nullptr);
    return 0;
  }
  if (emit == "asm") {
    llvm::SmallVector<char, 0> text;
    llvm::raw_svector_ostream stream(text);
    llvm::legacy::PassManager passes;
    if (machine->addPassesToEmitFile(passes, stream, nullptr,
                                     llvm::CodeGenFileType::AssemblyFile)) {
      fail("no assembly printer");
    }
    passes.run(*module);
    llvm::outs() << stream.str();
    return 0;
  }

  std::int64_t count = 0;
  read_all(&count, sizeof count);
  std::vector<std::vector<char>> arrays;
  const bool returns = !result->isVoidTy();
  arrays.emplace_back(returns ? static_cast<std::size_t>(count) * memory_size(result) : 1);
  for (const Operand& operand : operands) {
    arrays.emplace_back(static_cast<std::size_t>(count) * memory_size(operand.type));
    if (!operand.is_constant && !operand.is_output) {
      read_all(arrays.back().data(), arrays.back().size());
    }
  }
  std::vector<bool> is_output{returns};
  for (const Operand& operand : operands) {
    is_output.push_back(operand.is_output);
  }
  // The wrapper takes the arrays as one pointer, so that any number of operands can be called from
  // here.
  {
    llvm::IRBuilder<> b(*context);
    auto* call = llvm::Function::Create(
        llvm::FunctionType::get(b.getVoidTy(), {b.getInt64Ty(), b.getPtrTy()}, false),
        llvm::Function::ExternalLinkage, "call", *module);
    b.SetInsertPoint(llvm::BasicBlock::Create(*context, "entry", call));
    std::vector<llvm::Value*> values{call->getArg(0)};
    for (unsigned i = 0; i < arrays.size(); ++i) {
      values.push_back(
          b.CreateLoad(b.getPtrTy(), b.CreateConstGEP1_32(b.getPtrTy(), call->getArg(1), i)));
    }
    b.CreateCall(module->getFunction("run"), values);
    b.CreateRetVoid();
  }
  auto jit = llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(host).create();
  if (!jit) {
    fail(llvm::toString(jit.takeError()));
  }
  llvm::cantFail((*jit)->addIRModule({std::move(module), std::move(context)}));
  auto symbol = (*jit)->lookup("call");
  if (!symbol) {
    fail(llvm::toString(
        symbol.takeError())); // for instance a run-time library function that is not there
  }
  std::vector<char*> pointers;
  for (std::vector<char>& array : arrays) {
    pointers.push_back(array.data());
  }
  auto* const run = symbol->toPtr<void (*)(std::int64_t, char**)>();
  if (is_timed) {
    std::printf("%.4f\n", least_nanoseconds([&] { run(count, pointers.data()); }) / count);
    return 0;
  }
  run(count, pointers.data());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (is_output[i]) {
      std::fwrite(arrays[i].data(), 1, arrays[i].size(), stdout);
    }
  }
  return 0;
}
