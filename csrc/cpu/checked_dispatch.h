// A dispatch under the sanitiser.
#pragma once

#include "cpu/checker.h"
#include "cpu/grid_job.h"

namespace metalwright::cpu {

// Runs the grid once under a checker and, where that found no error and there are several
// threadgroups, in other orders of the threadgroups. `launch` as fill_launch() made it; memory
// holds the first run's results afterwards. One at a time in a process; others wait. What ends a
// run other than a finding is in supervision.failure.
std::vector<Finding> run_checked(const Executable& executable, const CheckedCode& code,
                                 const std::vector<Argument>& arguments, const Dispatch& dispatch,
                                 const simt::LaunchContext& launch, Supervision& supervision);

} // namespace metalwright::cpu
