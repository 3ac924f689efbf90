// From Clang's output to AIR: entry points, metadata and canonical form.
#pragma once

#include "device.h"
#include "msl/entry_points.h"

#include <clang/CodeGen/ModuleBuilder.h>
#include <llvm/IR/Module.h>

#include <string>

namespace metalwright::msl {

// Requires: `module` is what `generator` made of the translation unit of `entry_points`.
// Guarantees: AIR as docs/design/interfaces.md describes it: one function per kernel and nothing
// else that is defined (all calls inlined), address spaces inferred where they can be. Returns an
// empty string, or what is wrong with the user's program (recursion around a barrier).
std::string lower_to_air(llvm::Module& module, clang::CodeGenerator& generator,
                         const EntryPoints& entry_points, const CompileOptions& options);

} // namespace metalwright::msl
