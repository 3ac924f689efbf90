// The threads of the process's OpenMP runtime, which torch's operators run on.
//
// After a parallel region these threads spin for some milliseconds in case of another one. Threads
// of our own then have to share cores with them, and a dispatch waits for the unit of work of a
// thread that has lost its core. A dispatch that runs on the same threads finds them awake.
//
// Nothing is linked: the runtime is looked up in the process, where `import torch` has put it.
#pragma once

namespace metalwright::cpu {

// Whether run_on_openmp_team() would run something on `threads` threads.
bool has_openmp_team(unsigned threads);

// Calls function(argument, member) once in each thread of the team, this thread (member 0) among
// them, and returns
// when all have returned. False, and nothing was called, where there is no runtime, its team has
// fewer than `threads` threads, or this thread cannot use it: it is not the process's main thread
// (each thread that uses OpenMP gets a team of its own), it is inside a parallel region, or the
// process is the child of one that had other threads (the team stayed there). `function` must not
// throw.
bool run_on_openmp_team(unsigned threads, void (*function)(void*, unsigned), void* argument);

} // namespace metalwright::cpu
