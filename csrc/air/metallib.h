// Apple's container of compiled kernels, .metallib: which functions it holds and where.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace metalwright::air {

// What the TYPE field says a function is.
enum class FunctionKind : std::uint8_t {
  vertex = 0,
  fragment = 1,
  kernel = 2,
  unqualified = 3,
  visible = 4,
  external = 5,
  intersection = 6,
  mesh = 7,
  object = 8,
};
const char* name(FunctionKind kind);

struct MetallibFunction {
  std::string name;
  FunctionKind kind = FunctionKind::kernel;
  std::span<const std::byte> bitcode; // an LLVM module of its own; part of the file's bytes
  std::string air_version;            // "2.6"; empty if the file does not say
  std::string language_version;       // "3.1"
};

// All functions, in the file's order. The file may be hostile: every offset and length is checked,
// and the first that is wrong throws Error("invalid-metallib") saying where. `content` must outlive
// the result.
std::vector<MetallibFunction> read_metallib(std::span<const std::byte> content);

} // namespace metalwright::air
