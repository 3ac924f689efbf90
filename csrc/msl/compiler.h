// MSL source to a checked AIR module, in process.
#pragma once

#include "device.h"

#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>

namespace metalwright::msl {

struct CompiledModule {
  std::unique_ptr<llvm::LLVMContext> context; // owns what `module` is made of: keep it longer
  std::unique_ptr<llvm::Module> module;       // AIR, as docs/design/interfaces.md describes it
  std::vector<Diagnostic> warnings;
};

// Whether instructions keep their places in the source. They do not change the code.
enum class Places : bool { dropped, kept };

// Thread-safe. Throws CompileError with all diagnostics if there is at least one error.
CompiledModule compile(std::string_view source, const CompileOptions& options,
                       Places places = Places::dropped);

} // namespace metalwright::msl
