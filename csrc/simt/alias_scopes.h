// Tells LLVM that threadgroup memory is no buffer's.
#pragma once

#include <llvm/IR/Function.h>

namespace metalwright::simt {

// Accesses to a threadgroup's memory get an alias scope, and those to buffers say that they are not
// in it: Metal's address spaces are apart, but generated code has one. What is reached through a
// pointer from memory gets neither.
//
// Requires: a SimdgroupEntry (launch.h), whose first argument is the launch memory and whose second
// one the threadgroup's. Guarantees: nothing but metadata changes.
void tell_memories_apart(llvm::Function& function);

} // namespace metalwright::simt
