// as_type<To>(x): the same bits as another type of the same size.
#pragma once

#include "metal_vec.h"

template <typename To, typename From>
METAL_FUNC constexpr To as_type(From x) {
  static_assert(sizeof(To) == sizeof(From), "as_type needs two types of the same size");
  return __builtin_bit_cast(To, x);
}

namespace metal {
using ::as_type;
}
