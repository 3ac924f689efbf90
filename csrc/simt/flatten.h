// Branches whose ways only compute become selections of values.
#pragma once

#include <llvm/IR/BasicBlock.h>

#include <optional>
#include <vector>

namespace metalwright::simt {

// If all ways from the end of this block meet again after a few instructions that may run for
// nothing (no loops, no effects, nothing that may fault): the blocks on these ways.
std::optional<std::vector<llvm::BasicBlock*>> blocks_to_flatten(llvm::BasicBlock& block);

// Requires: blocks_to_flatten(block) has a value.
// Guarantees: the block goes straight to where the ways met, and computes what they did.
void flatten(llvm::BasicBlock& block);

} // namespace metalwright::simt
