// Barriers, memory flags and thread scopes.
#pragma once

#include "metal_types.h"

namespace metal {
// The values are those that the air.* barriers take.
enum class mem_flags : uint {
  mem_none = 0,
  mem_device = 1,
  mem_threadgroup = 2,
  mem_texture = 4,
  mem_threadgroup_imageblock = 8,
  mem_object_data = 16
};
METAL_FUNC constexpr mem_flags operator|(mem_flags a, mem_flags b) {
  return mem_flags(uint(a) | uint(b));
}
METAL_FUNC constexpr mem_flags operator&(mem_flags a, mem_flags b) {
  return mem_flags(uint(a) & uint(b));
}

enum thread_scope {
  thread_scope_thread = 0,
  thread_scope_threadgroup = 1,
  thread_scope_device = 2,
  thread_scope_simdgroup = 4
};
enum memory_order {
  memory_order_relaxed = 0,
  memory_order_acquire = 2,
  memory_order_release = 3,
  memory_order_acq_rel = 4,
  memory_order_seq_cst = 5
};

namespace __air {
METAL_CROSS_LANE void wg_barrier(uint flags, uint scope) METAL_AIR("wg.barrier");
METAL_CROSS_LANE void simdgroup_barrier(uint flags, uint scope) METAL_AIR("simdgroup.barrier");
METAL_CROSS_LANE void atomic_fence(uint flags, uint order, uint scope) METAL_AIR("atomic.fence");
} // namespace __air

METAL_FUNC METAL_CROSS_LANE void threadgroup_barrier(mem_flags flags) {
  __air::wg_barrier(uint(flags), thread_scope_threadgroup);
}
METAL_FUNC METAL_CROSS_LANE void threadgroup_barrier(mem_flags flags, thread_scope scope) {
  __air::wg_barrier(uint(flags), uint(scope));
}
METAL_FUNC METAL_CROSS_LANE void simdgroup_barrier(mem_flags flags) {
  __air::simdgroup_barrier(uint(flags), thread_scope_simdgroup);
}
METAL_FUNC METAL_CROSS_LANE void simdgroup_barrier(mem_flags flags, thread_scope scope) {
  __air::simdgroup_barrier(uint(flags), uint(scope));
}
METAL_FUNC METAL_CROSS_LANE void atomic_thread_fence(mem_flags flags, memory_order order,
                                                     thread_scope scope = thread_scope_device) {
  __air::atomic_fence(uint(flags), uint(order), uint(scope));
}
} // namespace metal
