// What the sanitiser says about a dispatch, as plain data.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace metalwright {

// A place in the source. Lines and columns count from 1; 0: not known.
struct SourcePlace {
  std::string file;
  unsigned line = 0;
  unsigned column = 0;
  bool operator==(const SourcePlace&) const = default;
};

// One thread of a dispatch.
struct ThreadPosition {
  std::array<std::uint32_t, 3> in_threadgroup{};
  std::array<std::uint32_t, 3> threadgroup{}; // in the grid
  std::array<std::uint32_t, 3> in_grid{};
};

// The access of another thread that a race is with.
struct OtherAccess {
  SourcePlace place;
  std::string kind; // "read", "write", "atomic"
  ThreadPosition thread;
};

struct Finding {
  std::string code;      // one of docs/sanitizer.md's table
  bool is_error = false; // else a warning
  std::string message;
  SourcePlace place;
  std::optional<ThreadPosition> thread; // unset: it is about no thread in particular
  // The memory it is about: a buffer argument, a threadgroup or a local variable.
  std::string buffer;
  std::optional<std::int64_t> byte_offset; // of the access, from the memory's beginning
  std::optional<std::int64_t> index;       // the same in elements, where the element is known
  std::uint64_t size = 0;                  // bytes of the access
  std::optional<OtherAccess> other;
  std::uint64_t count = 1; // how often there was one with this code at this line
};

} // namespace metalwright
