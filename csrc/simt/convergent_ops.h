// The operations that talk across threads, as data: from the name and type of an intrinsic.
#pragma once

#include <llvm/IR/InstrTypes.h>

#include <optional>
#include <string>

namespace metalwright::simt {

struct ConvergentOp {
  enum class Kind {
    threadgroup_barrier,
    simdgroup_barrier,
    collective,  // operands in, `combine` once per group of lanes, a result out
    matrix_load, // each lane moves its own two elements: nothing crosses lanes
    matrix_store,
    matrix_fill,
    matrix_diagonal,
    matrix_multiply,
  } kind;
  // What combines the operands in the checked engine, as the run time's table names it:
  // "simd_sum.f32", "simd_shuffle.b4", "simd_any", "matrix_multiply".
  std::string combine;
  // Elements of a vector operand. For matrix_multiply the element types of the result and the
  // operands, two bits each (0 float, 1 half, 2 bfloat), from the lowest, and 0x100 if it
  // accumulates.
  unsigned count = 1;
};

// What the call does, or nothing if it is no cross-lane operation that we know (operands are
// checked).
std::optional<ConvergentOp> convergent_op(const llvm::CallBase& call);

// The number of the lane that simd_broadcast or simd_shuffle reads: if that is the same for all, so
// is what they give. Null for other calls.
const llvm::Value* lane_that_is_read(const llvm::CallBase& call);

// Whether the called function is one whose position in the control flow matters, by its name alone.
bool is_convergent_name(llvm::StringRef name);

} // namespace metalwright::simt
