// By how much values grow from run to run of a program: from threadgroup to threadgroup.
#pragma once

#include <llvm/ADT/DenseMap.h>
#include <llvm/IR/Instructions.h>

#include <cstdint>
#include <optional>

namespace metalwright::simt {

// A splat's element, else null.
llvm::Value* splatted(llvm::Value* value);

// Sums of what grows by constants.
class Steps {
 public:
  // `known`: steps of some values. `runs`: how many there are; the first one's place along x is a
  // multiple of it. `are_addresses`: what is asked for leads to addresses that all runs access. An
  // index of 32 bits that is widened for such is assumed not to wrap between runs
  // (lane_analysis.h); else it is looked for whether it may, and for such addresses among other
  // values.
  Steps(const llvm::DenseMap<llvm::Instruction*, std::int64_t>& known, unsigned runs,
        bool are_addresses)
      : known_(known.begin(), known.end()), runs_(runs), are_addresses_(are_addresses) {}

  // By how much a value is more in each run than in the one before; of pointers in bytes. None: it
  // is not known to be the same for all runs and lanes.
  std::optional<std::int64_t> of(llvm::Value* value);

  // `x / n`, or the upper bits of x, that is the same for all runs, since their places lie between
  // two multiples of n.
  bool is_quotient_of_all(llvm::Instruction& instruction);

 private:
  std::optional<std::int64_t> compute(llvm::Instruction& instruction);
  // By how much more a value is in each run than in the one before, where it is a multiple of so
  // much times the runs in a run whose place is a multiple of them; 0: it is not known.
  std::int64_t aligned_step(llvm::Value* value);
  // Of a value that is widened, where it does not wrap between runs.
  std::optional<std::int64_t> of_extension(llvm::CastInst& extension);
  // Whether the value grows by its step as a number of any width: for `is_signed`, as one with a
  // sign.
  bool is_exact(llvm::Value* value, bool is_signed);
  // Whether a value is used in addresses alone, which all runs access or none.
  bool is_index(llvm::Value& value, unsigned depth = 0);
  // Whether runs that begin at a multiple of their number stay within `size`.
  bool holds_all(const llvm::APInt& size, std::int64_t step) const;
  // `x % n`, which grows as x does where `x / n` is the same for all.
  std::optional<std::int64_t> of_remainder(llvm::Instruction& instruction);
  std::optional<std::int64_t> of_address(llvm::GetElementPtrInst& address);

  llvm::DenseMap<llvm::Instruction*, std::optional<std::int64_t>> known_;
  unsigned runs_;
  bool are_addresses_;
};

} // namespace metalwright::simt
