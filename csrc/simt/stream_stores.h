// Stores that bypass the cache, for results that do not fit into it.
#pragma once

#include "air/entry_points.h"

#include <llvm/IR/Function.h>
#include <llvm/Target/TargetMachine.h>

#include <cstdint>
#include <optional>

namespace metalwright::simt {

// A set of slots (LaunchContext::arguments), by bit; arguments with a slot of 64 or more are never
// in one.
using SlotSet = std::uint64_t;
inline bool contains(SlotSet slots, unsigned slot) {
  return slot < 64 && (slots >> slot & 1) != 0;
}

// The buffers that the kernel's function, in one piece, stores to and does nothing else with. None
// where threads may wait for each other's stores: with atomic operations and fences.
SlotSet buffers_only_stored(const air::EntryPoint& entry);

// The slot of the argument that a pointer of a generated function (whose first argument is the
// LaunchContext) leads into.
std::optional<unsigned> slot_of(const llvm::Value* pointer, const llvm::Function& function);

// Whether the machine has stores that leave the cache out, and is one on which that was measured.
bool has_streaming_stores(const llvm::TargetMachine& target);

// Requires: code in its final form. Guarantees: stores of whole vectors to the buffers of `slots`
// are made past the cache where the address is a multiple of the vector's size; a masked one where
// all of its elements are stored. Blocks that compute much for what they store are left alone.
// Returns the buffers of which there are such stores now. The thread that ran the code must execute
// a store fence before others are told that it has finished.
SlotSet stream_stores(llvm::Function& function, SlotSet slots);

} // namespace metalwright::simt
