// What instrumented code and the run time of the sanitiser share: hooks, sites, regions, pointers.
//
// In instrumented code a pointer to memory that is watched is not an address. Its upper 16 bits
// name a region (an argument, a threadgroup variable, a local variable), the lower 48 bits are
// kRegionBias plus an offset. Arithmetic, also a wrong one, stays in the region, and pointers keep
// what they point into wherever they are kept, so a run-time hook always knows which memory was
// meant. The hook before every access gives the address to use in its place.
#pragma once

#include "findings.h"

#include <cstdint>
#include <string>
#include <vector>

namespace metalwright::simt {

inline constexpr unsigned kRegionShift = 48;
inline constexpr std::uint64_t kRegionBias = std::uint64_t{1} << 46;
// Regions from 1 on are the arguments, by slot; from here on CheckTables::regions.
inline constexpr unsigned kFirstVariable = 256;

enum class CheckKind : std::uint8_t {
  read,
  write,
  update,    // an atomic read-modify-write
  copy,      // memcpy, memmove
  fill,      // memset
  compare,   // memcmp
  undefined, // an undefined value is used
  condition, // something about values, found to hold
};

struct CheckSite {
  CheckKind kind = CheckKind::read;
  SourcePlace place;
  bool is_atomic = false;
  std::uint32_t size = 0;             // of the access; copies and fills have it as an operand
  std::uint32_t alignment = 1;        // required
  std::uint32_t source_alignment = 1; // copy: of what is read
  // Of the access, in bytes: where an element of a vector has no meaning (the fourth of three).
  std::uint32_t element = 1;
  std::uint32_t ignored_from = ~0u; // bytes from here on may be undefined
  // condition: the code; undefined: what the value is used for.
  std::string what;
};

struct CheckRegion {
  enum class Kind : std::uint8_t { local, threadgroup, constant } kind = Kind::local;
  std::string name;
  std::uint64_t size = 0;
  std::uint64_t offset = 0; // in the threadgroup's block, or in a thread's frame; else 0
};

struct CheckTables {
  std::vector<CheckSite> sites;
  std::vector<CheckRegion> regions;
  std::uint64_t frame_size = 0;
  bool has_float_atomics = false;
  bool has_atomics = false;
};

// What instrumented code calls.
inline constexpr const char* kAccessHook = "metalwright.check.access"; // (pointer, site) -> address
inline constexpr const char* kCopyHook = "metalwright.check.copy";     // (to, from, bytes, site)
inline constexpr const char* kFillHook = "metalwright.check.fill";     // (to, byte, bytes, site)
inline constexpr const char* kCompareHook =
    "metalwright.check.compare"; // (a, b, bytes, site) -> int
inline constexpr const char* kConditionHook = "metalwright.check.condition"; // (holds, site)
inline constexpr const char* kUndefinedHook = "metalwright.check.undefined"; // (origin, site)
inline constexpr const char* kUpdateHook = "metalwright.check.update";       // (pointer, site)
inline constexpr const char* kScopeHook = "metalwright.check.scope";         // (region index)
inline constexpr const char* kConstantHook = "metalwright.check.constant";   // (region, address)
inline constexpr const char* kFenceHook = "metalwright.check.fence";         // ()
inline constexpr const char* kFlagsHook = "metalwright.check.flags";         // (mem_flags)

} // namespace metalwright::simt
