// The check that follows every pass in debug builds.
#pragma once

#include <llvm/IR/Module.h>

#include <string>

namespace metalwright::air {

// The first thing that is wrong with the module, naming the function and the instruction, or an
// empty string. Beyond LLVM's own rules: every `air.*` declaration is called directly, with its own
// type, and never has its address taken.
std::string find_violation(const llvm::Module& module);

// Aborts with `metalwright: broken invariant` if the module is not right after `pass`. A no-op when
// NDEBUG is defined.
void verify_after(const llvm::Module& module, const char* pass);

} // namespace metalwright::air
