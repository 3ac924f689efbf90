// What is known of each value across the lanes of a simdgroup: the same in all, following the lane
// by a fixed pattern, or anything.
#pragma once

#include "simt/schedule.h"
#include "simt/uniformity.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/IR/Dominators.h>
#include <llvm/Support/KnownBits.h>

#include <array>
#include <unordered_map>

namespace metalwright::simt {

// An integer or pointer whose lanes differ by constants.
struct Pattern {
  // The differences are known within each aligned group of so many lanes; 0: not at all.
  unsigned group = 0;
  // Lane l's value less that of the first lane of its group; bytes for pointers.
  std::array<std::int64_t, 32> offset{};
  // Holds for lanes that use the value as an address inside one buffer (see below), not otherwise.
  bool assumed = false;
  // Of lane 0's value; for a whole group that is not assumed.
  llvm::KnownBits first;

  bool is_exact() const { return group == 32 && !assumed; }
  bool is_constant() const; // all offsets are 0
  bool same_offsets(const Pattern& other) const {
    return group == other.group && assumed == other.assumed && offset == other.offset;
  }
};

// Bytes between the copies of a private variable that two neighbouring lanes own.
std::uint64_t private_stride(const llvm::AllocaInst& variable, const llvm::DataLayout& layout);

// An index that is widened from 32 to 64 bits for an address is assumed not to wrap between the
// lanes of a group that access memory: lanes on both sides of the wrap would be 4 Gi elements
// apart, and no buffer is that large (`large_buffers` says that one may be: nothing is assumed).
// Lanes that do not access memory may be anywhere.
class LaneAnalysis {
 public:
  // Requires: what Schedule does; loops in LCSSA form.
  LaneAnalysis(llvm::Function& function, const llvm::DominatorTree& dominators,
               const llvm::LoopInfo& loops, bool large_buffers);

  const Schedule& schedule() const { return uniformity_.schedule(); }
  // False: one value for all lanes that run.
  bool is_varying(const llvm::Value* value) const { return uniformity_.is_varying(value); }
  // The pattern of any value; group 0 if there is none. The reference stays valid.
  const Pattern& pattern(const llvm::Value* value) const;
  // Simdgroup matrices, <64 x T>, are one value for the simdgroup.
  static bool is_matrix(const llvm::Type* type);

 private:
  class Patterns;

  Uniformity uniformity_;
  llvm::DenseMap<const llvm::Value*, Pattern> patterns_;
  // Grows while it is asked: of a node container, so that references to its patterns stay.
  mutable std::unordered_map<const llvm::Value*, Pattern> uniform_patterns_;
  const llvm::DataLayout& layout_;
  bool assumes_;
};

} // namespace metalwright::simt
