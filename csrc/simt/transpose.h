// Vectors put together and transposed in registers.
#pragma once

#include "simt/vector_builder.h"

namespace metalwright::simt {

// Joins vectors of the same type, padding the number of them to a power of two.
llvm::Value* concatenate(llvm::IRBuilder<>& builder, Parts pieces);

// Takes as many vectors as a piece has elements. Within each piece of each vector: element e of
// vector v goes to element v of vector e.
void transpose(llvm::IRBuilder<>& builder, llvm::MutableArrayRef<llvm::Value*> rows);

// A piece of memory of `type` at each address, as columns: the
// first elements of all pieces, the second ones, and so on.
std::vector<llvm::Value*> load_columns(llvm::IRBuilder<>& builder, llvm::FixedVectorType* type,
                                       llvm::ArrayRef<llvm::Value*> addresses, llvm::Align align,
                                       llvm::function_ref<void(llvm::Instruction*)> mark);

} // namespace metalwright::simt
