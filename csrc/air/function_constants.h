// Function constants: what a module declares, and giving them values.
#pragma once

#include "air/entry_points.h"
#include "device.h"

#include <llvm/IR/Module.h>

#include <vector>

namespace metalwright::air {

struct FunctionConstantGlobal {
  FunctionConstant constant;
  llvm::GlobalVariable* global = nullptr; // address space 2, no value of its own
};

// `!air.function_constants`, in its order; throws Error("invalid-air") on metadata that is not
// right. Apple's compiler writes (global, type, name, index, required), our own (global, index,
// name, type, required): both are read.
std::vector<FunctionConstantGlobal> read_function_constants(llvm::Module& module);

// Requires: `module` belongs to this one kernel (it is changed), `entry` was read from it.
// Guarantees: no function loads a function constant any more, nor a global that Apple's static
// initialisers compute from them; arguments whose condition is false are inactive in `entry`.
// Throws Error: "no-such-function-constant" (a key that names none),
// "wrong-function-constant-type", "missing-function-constant" (required, used by this kernel, and
// no value given).
void specialise(llvm::Module& module, EntryPoint& entry, const ConstantValues& values);

} // namespace metalwright::air
