// One form for the loads and stores of simdgroup matrices, whichever compiler wrote them.
#pragma once

#include <llvm/IR/Module.h>

namespace metalwright::simt {

// AIR before 2.8 says where a matrix lies by the elements per row, the origin and whether it is
// transposed: (pointer, i64, <2 x i64>, i1). Since then (MSL 4.0) by the extents of what it is cut
// from, the distance between its columns and between its rows, and the origin: (pointer, <2 x i64>,
// <2 x i64>, <2 x i64>).
// Guarantees: all calls have the older form, the one that the engines know. Calls with operands of
// other types stay as they are and are reported by who meets them.
void unify_matrix_calls(llvm::Module& module);

} // namespace metalwright::simt
