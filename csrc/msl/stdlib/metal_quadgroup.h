// Functions across the four threads of a quadgroup.
#pragma once

#include "metal_simdgroup.h"

namespace metal {
#define _MSL_WIDTH 4
_MSL_REDUCTION(quad_sum)
_MSL_REDUCTION(quad_product)
_MSL_REDUCTION(quad_min)
_MSL_REDUCTION(quad_max)
_MSL_REDUCTION(quad_prefix_inclusive_sum)
_MSL_REDUCTION(quad_prefix_inclusive_product)
_MSL_REDUCTION(quad_prefix_exclusive_sum)
_MSL_REDUCTION(quad_prefix_exclusive_product)
_MSL_BITWISE(quad_and)
_MSL_BITWISE(quad_or)
_MSL_BITWISE(quad_xor)
_MSL_SHUFFLE(quad_shuffle)
_MSL_SHUFFLE(quad_shuffle_up)
_MSL_SHUFFLE(quad_shuffle_down)
_MSL_SHUFFLE(quad_shuffle_xor)
_MSL_SHUFFLE(quad_shuffle_rotate_up)
_MSL_SHUFFLE(quad_shuffle_rotate_down)
_MSL_SHUFFLE(quad_broadcast)
_MSL_FIRST(quad_broadcast_first)
_MSL_FILL(quad_shuffle_and_fill_up)
_MSL_FILL(quad_shuffle_and_fill_down)
#undef _MSL_WIDTH

METAL_CROSS_LANE bool quad_any(bool) METAL_AIR("quad_any");
METAL_CROSS_LANE bool quad_all(bool) METAL_AIR("quad_all");
METAL_CROSS_LANE bool quad_is_first() METAL_AIR("quad_is_first");
METAL_CROSS_LANE bool quad_is_helper_thread() METAL_AIR("quad_is_helper_thread");

namespace __air {
METAL_CROSS_LANE ushort quad_ballot(bool) METAL_AIR("quad_ballot.i16");
METAL_CROSS_LANE ushort quad_active_threads_mask() METAL_AIR("quad_active_threads_mask.i16");
} // namespace __air

// One bit per thread of the quadgroup.
struct quad_vote {
  using vote_t = ushort;
  vote_t __bits;
  quad_vote() = default;
  METAL_FUNC explicit constexpr quad_vote(vote_t bits) : __bits(bits) {}
  METAL_FUNC explicit constexpr operator vote_t() const { return __bits; }
  METAL_FUNC constexpr bool any() const { return (__bits & 15) != 0; }
  METAL_FUNC constexpr bool all() const { return (__bits & 15) == 15; }
};
METAL_FUNC METAL_CROSS_LANE quad_vote quad_ballot(bool x) { return quad_vote(__air::quad_ballot(x)); }
METAL_FUNC METAL_CROSS_LANE quad_vote quad_active_threads_mask() {
  return quad_vote(__air::quad_active_threads_mask());
}
} // namespace metal
