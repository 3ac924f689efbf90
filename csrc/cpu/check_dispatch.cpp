// A dispatch, checked and laid out for generated code.
#include "cpu/check_dispatch.h"

#include <algorithm>

namespace metalwright::cpu {

static_assert(simt::kMaxArguments == metalwright::kMaxArguments);

void fill_launch(const KernelLimits& kernel, const Dispatch& dispatch,
                 simt::LaunchContext& launch) {
  CheckedDispatch checked;
  check_dispatch(kernel, dispatch, checked);
  std::ranges::copy(checked.threads_per_grid, launch.threads_per_grid);
  std::ranges::copy(checked.threadgroups_per_grid, launch.threadgroups_per_grid);
  std::ranges::copy(checked.threads_per_threadgroup, launch.dispatch_threads_per_threadgroup);
  for (unsigned slot = 0; slot < checked.argument_count; ++slot) {
    const CheckedArgument& argument = checked.arguments[slot];
    if (!argument.binding)
      launch.arguments[slot] = nullptr;
    else if (argument.argument->kind != ArgumentKind::threadgroup_memory)
      launch.arguments[slot] =
          static_cast<std::byte*>(argument.binding->pointer) + argument.binding->offset;
    else
      launch.arguments[slot] = reinterpret_cast<void*>(argument.threadgroup_offset);
  }
}

} // namespace metalwright::cpu
