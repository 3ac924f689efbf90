// The memory that generated code and the host share during a dispatch. Plain data: generated code
// reads it by offset (`offsetof`), so a member's type is part of the contract.
#pragma once

#include <cstddef>
#include <cstdint>

namespace metalwright::simt {

inline constexpr unsigned kSimdgroupSize = 32;
// 31 buffers, 31 threadgroup arguments, 128 textures, 16 samplers
inline constexpr unsigned kMaxArguments = 206;
inline constexpr unsigned kMaxThreadgroupMemory = 32768;
// What a call of several threadgroups may take. With 128 KiB, eight threadgroups of 16 KiB took 1.7
// times as long as with four.
inline constexpr unsigned kMemoryTogether = 3 * kMaxThreadgroupMemory;
inline constexpr unsigned kSharedMemory = 1024; // see simt/shared_loops.h
// Threadgroups that one call may run, see simt/join_threadgroups.h; it may be half as many too.
inline constexpr unsigned kThreadgroupsTogether = 8;
// The same where they are elements of vectors, see simt/widen_threadgroups.h.
inline constexpr unsigned kMostThreadgroups = 16;

// The same for every thread of a dispatch.
struct LaunchContext {
  std::uint32_t threads_per_grid[3];
  std::uint32_t threadgroups_per_grid[3];
  std::uint32_t dispatch_threads_per_threadgroup[3]; // as asked for; edge threadgroups are smaller
  std::uint32_t reserved;
  // By slot, the order of the active arguments: a pointer (to a Texture or a Sampler for those), or
  // for threadgroup memory the offset of its first byte in the threadgroup's block.
  void* arguments[kMaxArguments];
};

// The same for every thread of a threadgroup.
struct ThreadgroupContext {
  std::uint32_t position[3]; // threadgroup_position_in_grid
  std::uint32_t threads[3];  // threads_per_threadgroup, of this threadgroup
  std::byte* memory;         // static threadgroup variables, then dynamic arguments
};

struct Simdgroup; // the scheduler's

// One thread in the checked engine. What cross-lane operations take and give passes through memory
// here: generated code stores operands, calls the runtime, and loads the result when it is running
// again.
struct alignas(64) Lane {
  std::byte operands[3][32]; // up to three, each at most a vector of four 64-bit elements
  std::byte result[32];
  std::uint32_t position_in_threadgroup[3];
  std::uint32_t index_in_threadgroup;
  std::uint32_t index_in_simdgroup;
  std::uint32_t simdgroup_index;
  Simdgroup* simdgroup;
  void* stack_pointer; // while another lane runs
};

// One simdgroup in the simdgroup engine. The first three members are read by generated code.
struct SimdgroupState {
  std::uint32_t index = 0;              // in the threadgroup
  std::uint32_t lanes = kSimdgroupSize; // threads: fewer than 32 only in the last one
  std::byte* shared = nullptr;          // kSharedMemory bytes that a threadgroup's simdgroups share
  void* scheduler = nullptr;            // the SimdgroupScheduler that runs it
  void* stack_pointer = nullptr;        // while another simdgroup runs
  std::uint32_t barrier_site = 0;       // where it waits
  bool running = false;                 // it has not returned
};

// Generated entry points.
//
// simdgroup: the 32 threads of one simdgroup.
using SimdgroupEntry = void(const LaunchContext*, const ThreadgroupContext*, SimdgroupState*);
//
// vector-loop: threads x_begin ... x_begin + x_count - 1 of rows row_begin ... row_end - 1, counted
// in the grid (ThreadgroupContext unused) or in the threadgroup. x_begin + i never passes 2^31 or
// 2^32 on the way: generated code assumes that it wraps neither as signed nor as unsigned.
using LoopEntry = void(const LaunchContext*, const ThreadgroupContext*, std::uint64_t row_begin,
                       std::uint64_t row_end, std::uint32_t x_begin, std::uint32_t x_count);
// checked: one thread.
using LaneEntry = void(const LaunchContext*, const ThreadgroupContext*, Lane*);

inline constexpr const char* kEntryName = "metalwright_entry";

// What a lane calls to block; the names that generated code uses are in convergent_ops.h.
// Combines the operands of the lanes in `active` into their results. `count` is the number of
// vector elements. Null: the lanes only meet.
using Combine = void(Lane* lanes, std::uint32_t active, std::uint32_t count);

} // namespace metalwright::simt
