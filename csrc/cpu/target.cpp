// Sets LLVM up for the host and runs its code generator.
#include "cpu/target.h"

#include "device.h"
#include "errors.h"
#include "simt/optimise.h"

#include <llvm/CodeGen/MachineModuleInfo.h>
#include <llvm/CodeGen/Passes.h>
#include <llvm/CodeGen/TargetPassConfig.h>
#include <llvm/Config/llvm-config.h>
#if LLVM_VERSION_MAJOR >= 20
#include <llvm/CodeGen/CodeGenTargetMachineImpl.h>
#endif
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/TargetParser/Host.h>

#include <sched.h>

#include <fstream>
#include <mutex>

namespace metalwright::cpu {

namespace {

std::unique_ptr<llvm::TargetMachine> make_target() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
  const std::string triple = llvm::sys::getProcessTriple();
  std::string message;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, message);
  if (!target)
    throw Error(errors::code_generation, "LLVM has no code generator for this machine: " + message);
  // Only what differs from the processor's name (a hypervisor may hide features): LLVM hashes this
  // string every time that a pass asks for the subtarget, and the full list costs milliseconds per
  // kernel.
  const std::string processor = llvm::sys::getHostCPUName().str();
  const std::unique_ptr<llvm::MCSubtargetInfo> named(
      target->createMCSubtargetInfo(triple, processor, ""));
  std::string features;
  for (const auto& feature : llvm::sys::getHostCPUFeatures()) {
    const std::string present = "+" + feature.first().str();
    if (named && named->checkFeatures(present) == feature.second)
      continue;
    features += (features.empty() ? "" : ",") + std::string(feature.second ? "+" : "-") +
                feature.first().str();
  }
  llvm::TargetOptions options;
  options.EmitStackSizeSection = true; // fibers are sized by it
  std::unique_ptr<llvm::TargetMachine> machine(
      target->createTargetMachine(triple, processor, features, options, llvm::Reloc::PIC_,
                                  llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
  if (!machine)
    throw Error(errors::code_generation, "LLVM cannot generate code for " + triple);
  return machine;
}

// LLVM's class below TargetMachine was renamed.
#if LLVM_VERSION_MAJOR >= 20
using CodeGenerator = llvm::CodeGenTargetMachineImpl;
#else
using CodeGenerator = llvm::LLVMTargetMachine;
#endif

// What addPassesToEmitFile does, but for the scheduler before register allocation. False if LLVM
// cannot write this kind of file.
bool add_code_generation(llvm::legacy::PassManager& passes, llvm::raw_pwrite_stream& stream,
                         llvm::CodeGenFileType type, bool is_ordered) {
  auto& machine = static_cast<CodeGenerator&>(host_target());
  if (!is_ordered)
    return !machine.addPassesToEmitFile(passes, stream, nullptr, type, /*DisableVerify=*/true);
  auto* information = new llvm::MachineModuleInfoWrapperPass(&machine); // `passes` owns both
  llvm::TargetPassConfig* config = machine.createPassConfig(passes);
  config->setDisableVerify(true);
  config->disablePass(&llvm::MachineSchedulerID);
  passes.add(config);
  passes.add(information);
  if (config->addISelPasses())
    return false;
  config->addMachinePasses();
  config->setInitialized();
  if (machine.addAsmPrinter(passes, stream, nullptr, type, information->getMMI().getContext()))
    return false;
  passes.add(llvm::createFreeMachineFunctionPass());
  return true;
}

void emit(llvm::Module& module, llvm::raw_pwrite_stream& stream, llvm::CodeGenFileType type) {
  const bool is_ordered = llvm::any_of(module, [](const llvm::Function& function) {
    return function.hasFnAttribute(simt::kOrderedAttribute);
  });
  llvm::legacy::PassManager passes;
  if (!add_code_generation(passes, stream, type, is_ordered))
    throw Error(errors::code_generation, "LLVM cannot write this kind of file for this machine");
  passes.run(module);
}

std::string architecture(const llvm::StringMap<bool>& features) {
#if defined(__x86_64__)
  if (features.lookup("avx512f"))
    return "x86-64 avx512";
  return features.lookup("avx2") ? "x86-64 avx2" : "x86-64";
#else
  return features.lookup("sve") ? "arm64 sve" : "arm64 neon";
#endif
}

} // namespace

llvm::TargetMachine& host_target() {
  thread_local std::unique_ptr<llvm::TargetMachine> machine = make_target();
  return *machine;
}

llvm::SmallVector<char, 0> emit_object(llvm::Module& module) {
  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  emit(module, stream, llvm::CodeGenFileType::ObjectFile);
  return object;
}

std::string emit_assembly(llvm::Module& module) {
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  emit(module, stream, llvm::CodeGenFileType::AssemblyFile);
  return text.str().str();
}

HostDescription describe_host() {
  HostDescription host;
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name") && line.find(':') != std::string::npos) {
      host.name = line.substr(line.find(':') + 2);
      break;
    }
  if (host.name.empty()) // arm64 kernels give no name
    host.name = llvm::sys::getHostCPUName().str();
  host.architecture = architecture(llvm::sys::getHostCPUFeatures());
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    host.processors = static_cast<unsigned>(CPU_COUNT(&allowed));
  return host;
}

} // namespace metalwright::cpu
