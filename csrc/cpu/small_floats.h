// half and bfloat as stored, with conversion to and from float (to nearest even).
#pragma once

#include <bit>
#include <cstdint>

namespace metalwright::cpu {

struct BFloat {
  std::uint16_t bits = 0;
  BFloat() = default;
  explicit BFloat(float value) {
    std::uint32_t word = std::bit_cast<std::uint32_t>(value);
    if ((word & 0x7fffffff) > 0x7f800000)
      word |= 0x400000; // stays a NaN
    else
      word += 0x7fff + (word >> 16 & 1);
    bits = static_cast<std::uint16_t>(word >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

struct Half {
  std::uint16_t bits = 0;
  Half() = default;
  explicit Half(float value) : bits(std::bit_cast<std::uint16_t>(static_cast<_Float16>(value))) {}
  explicit operator float() const { return static_cast<float>(std::bit_cast<_Float16>(bits)); }
};

} // namespace metalwright::cpu
