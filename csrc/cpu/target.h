// The machine that we run on, as LLVM sees it, and code for it.
#pragma once

#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/Module.h>
#include <llvm/Target/TargetMachine.h>

#include <string>

namespace metalwright::cpu {

// One per thread: a target machine is not safe to share.
llvm::TargetMachine& host_target();

// Both change the module. Throw Error("code-generation-failed").
llvm::SmallVector<char, 0> emit_object(llvm::Module& module);
std::string emit_assembly(llvm::Module& module);

struct HostDescription {
  std::string name;         // "AMD EPYC 9654", from the operating system
  std::string architecture; // "x86-64 avx512"
  unsigned processors = 1;  // that this process may use
};
HostDescription describe_host();

} // namespace metalwright::cpu
