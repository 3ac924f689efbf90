// What the parts of the vector builder that read and write memory share.
#pragma once

#include "simt/transpose.h"
#include "simt/vector_builder.h"

namespace metalwright::simt {

struct VectorBuilder::Access {
  llvm::Type* element = nullptr; // of 8, 16, 32 or 64 bits
  unsigned leaves = 1;           // elements that follow each other
  unsigned size = 0;             // of an element, in bytes
  llvm::Align align;
  bool is_volatile = false;
  bool is_invariant = false;
  Pattern pattern;

  void mark(llvm::Instruction* access) const {
    if (is_invariant)
      access->setMetadata(llvm::LLVMContext::MD_invariant_load,
                          llvm::MDNode::get(access->getContext(), {}));
  }
};

} // namespace metalwright::simt
