// What simdgroup and quadgroup functions compute, over the lanes that met.
#pragma once

#include "simt/launch.h"

#include <string_view>

namespace metalwright::cpu {

// The function that combines operands under the name that generated code uses ("simd_sum.f32"), or
// null. Only lanes of the mask take part and get a result. Sums and products of floats add in a
// fixed tree, so that a result does not depend on timing; half and bfloat are combined in float and
// rounded once. Reading from a lane that is not there, which Metal leaves undefined, gives the
// lane's own value.
simt::Combine* find_combine(std::string_view name);

} // namespace metalwright::cpu
