// Reductions, scans, movements, votes and matrix products on lanes' operands.
#include "cpu/collectives.h"

#include "cpu/small_floats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <unordered_map>

namespace metalwright::cpu {

namespace {

using simt::kSimdgroupSize;
using simt::Lane;

bool active(std::uint32_t mask, unsigned lane) {
  return (mask >> lane) & 1;
}

template <class T> T operand(const Lane& lane, unsigned which, unsigned element) {
  T value;
  std::memcpy(&value, lane.operands[which] + element * sizeof(T), sizeof(T));
  return value;
}
template <class T> void give(Lane& lane, unsigned element, T value) {
  std::memcpy(lane.result + element * sizeof(T), &value, sizeof(T));
}

// What a type is combined in.
template <class T> struct Computed {
  using Type = T;
};
template <> struct Computed<Half> {
  using Type = float;
};
template <> struct Computed<BFloat> {
  using Type = float;
};

struct Sum {
  template <class T> static T identity() { return T(0); }
  template <class T> static T apply(T a, T b) {
    if constexpr (std::is_integral_v<T>)
      return T(std::make_unsigned_t<T>(a) + std::make_unsigned_t<T>(b));
    else
      return a + b;
  }
};
struct Product {
  template <class T> static T identity() { return T(1); }
  template <class T> static T apply(T a, T b) {
    if constexpr (std::is_integral_v<T>) // unsigned short would be promoted to int and overflow
      return T(std::uint64_t(std::make_unsigned_t<T>(a)) *
               std::uint64_t(std::make_unsigned_t<T>(b)));
    else
      return a * b;
  }
};
struct Min {
  template <class T> static T identity() {
    return std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity()
                                                : std::numeric_limits<T>::max();
  }
  template <class T> static T apply(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return std::fmin(a, b);
    else
      return std::min(a, b);
  }
};
struct Max {
  template <class T> static T identity() {
    return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                                : std::numeric_limits<T>::lowest();
  }
  template <class T> static T apply(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return std::fmax(a, b);
    else
      return std::max(a, b);
  }
};
struct And {
  template <class T> static T identity() { return T(~T(0)); }
  template <class T> static T apply(T a, T b) { return T(a & b); }
};
struct Or {
  template <class T> static T identity() { return T(0); }
  template <class T> static T apply(T a, T b) { return T(a | b); }
};
struct Xor {
  template <class T> static T identity() { return T(0); }
  template <class T> static T apply(T a, T b) { return T(a ^ b); }
};

template <class T, class Operation, unsigned Width>
void reduce(Lane* lanes, std::uint32_t mask, std::uint32_t count) {
  using C = typename Computed<T>::Type;
  for (unsigned element = 0; element < count; ++element) {
    C values[kSimdgroupSize];
    for (unsigned i = 0; i < kSimdgroupSize; ++i)
      values[i] =
          active(mask, i) ? C(operand<T>(lanes[i], 0, element)) : Operation::template identity<C>();
    // A butterfly: every lane of a group of Width ends with the same tree's result.
    for (unsigned step = Width / 2; step > 0; step /= 2)
      for (unsigned group = 0; group < kSimdgroupSize; group += Width)
        for (unsigned i = 0; i < step; ++i)
          values[group + i] =
              Operation::template apply<C>(values[group + i], values[group + i + step]);
    for (unsigned i = 0; i < kSimdgroupSize; ++i)
      if (active(mask, i))
        give(lanes[i], element, T(values[i / Width * Width]));
  }
}

// Each step adds what is 1, 2, 4 ... lanes before: the order that vector code can follow too.
template <class T, class Operation, unsigned Width, bool Inclusive>
void scan(Lane* lanes, std::uint32_t mask, std::uint32_t count) {
  using C = typename Computed<T>::Type;
  for (unsigned element = 0; element < count; ++element) {
    C values[kSimdgroupSize];
    for (unsigned i = 0; i < kSimdgroupSize; ++i)
      values[i] =
          active(mask, i) ? C(operand<T>(lanes[i], 0, element)) : Operation::template identity<C>();
    for (unsigned step = 1; step < Width; step *= 2)
      for (unsigned i = kSimdgroupSize; i-- > 0;)
        if (i % Width >= step)
          values[i] = Operation::template apply<C>(values[i - step], values[i]);
    for (unsigned i = 0; i < kSimdgroupSize; ++i)
      if (active(mask, i))
        give(lanes[i], element,
             T(Inclusive        ? values[i]
               : i % Width != 0 ? values[i - 1]
                                : Operation::template identity<C>()));
  }
}

// ------------------------------------------------------------------------------ movements
// Each gives the lane, within the group of Width, that lane `i` reads; one outside means its own
// value. One inside that takes no part gives zero: Metal leaves it undefined, and torch's headers
// (c10/metal/reduction_utils.h) say and rely on that it is zero in practice. A lane that is named
// but does not exist is undefined too: it is taken modulo the width, so that one name gives all
// lanes the same.
struct Shuffle {
  static unsigned source(unsigned, unsigned number, unsigned width) { return number % width; }
};
struct ShuffleUp {
  static unsigned source(unsigned i, unsigned delta, unsigned) {
    return i - delta;
  } // wraps to huge
};
struct ShuffleDown {
  static unsigned source(unsigned i, unsigned delta, unsigned) {
    return delta < kSimdgroupSize ? i + delta : ~0u;
  }
};
struct ShuffleXor {
  static unsigned source(unsigned i, unsigned mask, unsigned) { return i ^ mask; }
};
struct RotateUp {
  static unsigned source(unsigned i, unsigned delta, unsigned width) { return (i - delta) % width; }
};
struct RotateDown {
  static unsigned source(unsigned i, unsigned delta, unsigned width) { return (i + delta) % width; }
};

template <unsigned Bytes, class Movement, unsigned Width>
void move(Lane* lanes, std::uint32_t mask, std::uint32_t count) {
  for (unsigned i = 0; i < kSimdgroupSize; ++i) {
    if (!active(mask, i))
      continue;
    const unsigned group = i / Width * Width;
    const unsigned source =
        Movement::source(i - group, operand<std::uint32_t>(lanes[i], 2, 0), Width);
    if (source < Width && !active(mask, group + source))
      std::memset(lanes[i].result, 0, Bytes * count);
    else
      std::memcpy(lanes[i].result, lanes[source < Width ? group + source : i].operands[0],
                  Bytes * count);
  }
}

// Segments of `modulo` lanes; what moves in from outside comes from the fill of the lane that would
// be `modulo` further.
template <unsigned Bytes, bool Up, unsigned Width>
void move_and_fill(Lane* lanes, std::uint32_t mask, std::uint32_t count) {
  for (unsigned i = 0; i < kSimdgroupSize; ++i) {
    if (!active(mask, i))
      continue;
    const unsigned delta = operand<std::uint32_t>(lanes[i], 2, 0);
    unsigned modulo = operand<std::uint32_t>(lanes[i], 2, 1);
    if (!std::has_single_bit(modulo) || modulo > Width)
      modulo = Width;
    const unsigned segment = i / modulo * modulo;
    const unsigned place = i - segment;
    const unsigned moved = Up ? place - delta : place + delta;
    const bool inside = moved < modulo && delta < modulo;
    const unsigned source = segment + (Up ? place - delta : place + delta) % modulo;
    if (active(mask, source))
      std::memcpy(lanes[i].result, lanes[source].operands[inside ? 0 : 1], Bytes * count);
    else
      std::memset(lanes[i].result, 0, Bytes * count);
  }
}

template <unsigned Bytes, unsigned Width>
void broadcast_first(Lane* lanes, std::uint32_t mask, std::uint32_t count) {
  for (unsigned i = 0; i < kSimdgroupSize; ++i) {
    if (!active(mask, i))
      continue;
    const unsigned group = i / Width * Width;
    const unsigned first = std::countr_zero(mask >> group << group);
    std::memcpy(lanes[i].result, lanes[first].operands[0], Bytes * count);
  }
}

// ------------------------------------------------------------------------------ votes
enum class Vote { any, all, ballot, is_first, active };

template <Vote Kind, unsigned Width> void vote(Lane* lanes, std::uint32_t mask, std::uint32_t) {
  std::uint32_t yes = 0;
  for (unsigned i = 0; i < kSimdgroupSize; ++i)
    if (active(mask, i) && operand<std::uint32_t>(lanes[i], 0, 0))
      yes |= 1u << i;
  constexpr std::uint32_t whole = Width == 32 ? ~0u : (1u << (Width % 32)) - 1;
  for (unsigned i = 0; i < kSimdgroupSize; ++i) {
    if (!active(mask, i))
      continue;
    const unsigned group = i / Width * Width;
    const std::uint32_t here = mask >> group & whole;
    const std::uint32_t for_it = yes >> group & whole;
    std::uint64_t result = 0;
    switch (Kind) {
    case Vote::any:
      result = for_it != 0;
      break;
    case Vote::all:
      result = for_it == here;
      break;
    case Vote::ballot:
      result = for_it;
      break;
    case Vote::is_first:
      result = unsigned(std::countr_zero(here)) == i - group;
      break;
    case Vote::active:
      result = here;
      break;
    }
    give(lanes[i], 0, result);
  }
}

// ------------------------------------------------------------------------------ matrices
float matrix_element(const Lane& lane, unsigned which, unsigned element, unsigned type) {
  switch (type) {
  case 0:
    return operand<float>(lane, which, element);
  case 1:
    return float(operand<Half>(lane, which, element));
  default:
    return float(operand<BFloat>(lane, which, element));
  }
}

// `code`: element types, as ConvergentOp::count says. Accumulates in float, in the order of k.
void matrix_multiply(Lane* lanes, std::uint32_t mask, std::uint32_t code) {
  float a[8][8] = {};
  float b[8][8] = {};
  float d[8][8] = {};
  auto row = [](unsigned lane) { return (lane / 4 & 4) + lane / 2 % 4; };
  auto column = [](unsigned lane) { return (lane / 4 & 2) * 2 + lane % 2 * 2; };
  for (unsigned i = 0; i < kSimdgroupSize; ++i)
    for (unsigned element = 0; active(mask, i) && element < 2; ++element) {
      a[row(i)][column(i) + element] = matrix_element(lanes[i], 0, element, code >> 2 & 3);
      b[row(i)][column(i) + element] = matrix_element(lanes[i], 1, element, code >> 4 & 3);
      if (code & 0x100)
        d[row(i)][column(i) + element] = matrix_element(lanes[i], 2, element, code >> 6 & 3);
    }
  for (unsigned r = 0; r < 8; ++r)
    for (unsigned k = 0; k < 8; ++k)
      for (unsigned c = 0; c < 8; ++c)
        d[r][c] = std::fma(a[r][k], b[k][c], d[r][c]);
  for (unsigned i = 0; i < kSimdgroupSize; ++i)
    for (unsigned element = 0; active(mask, i) && element < 2; ++element) {
      const float value = d[row(i)][column(i) + element];
      if ((code & 3) == 0)
        give(lanes[i], element, value);
      else if ((code & 3) == 1)
        give(lanes[i], element, Half(value));
      else
        give(lanes[i], element, BFloat(value));
    }
}

// ------------------------------------------------------------------------------ the table
using Table = std::unordered_map<std::string, simt::Combine*>;

template <class T, unsigned Width>
void add_reductions(Table& table, const std::string& group, const std::string& type) {
  table[group + "sum." + type] = reduce<T, Sum, Width>;
  table[group + "product." + type] = reduce<T, Product, Width>;
  table[group + "min." + type] = reduce<T, Min, Width>;
  table[group + "max." + type] = reduce<T, Max, Width>;
  table[group + "prefix_inclusive_sum." + type] = scan<T, Sum, Width, true>;
  table[group + "prefix_exclusive_sum." + type] = scan<T, Sum, Width, false>;
  table[group + "prefix_inclusive_product." + type] = scan<T, Product, Width, true>;
  table[group + "prefix_exclusive_product." + type] = scan<T, Product, Width, false>;
  if constexpr (std::is_integral_v<T>) {
    table[group + "and." + type] = reduce<T, And, Width>;
    table[group + "or." + type] = reduce<T, Or, Width>;
    table[group + "xor." + type] = reduce<T, Xor, Width>;
  }
}

template <unsigned Bytes, unsigned Width>
void add_movements(Table& table, const std::string& group) {
  const std::string type = ".b" + std::to_string(Bytes);
  table[group + "shuffle" + type] = move<Bytes, Shuffle, Width>;
  table[group + "broadcast" + type] = move<Bytes, Shuffle, Width>;
  table[group + "shuffle_up" + type] = move<Bytes, ShuffleUp, Width>;
  table[group + "shuffle_down" + type] = move<Bytes, ShuffleDown, Width>;
  table[group + "shuffle_xor" + type] = move<Bytes, ShuffleXor, Width>;
  for (const char* prefix : {"shuffle_rotate_", "rotate_"}) {
    table[group + prefix + "up" + type] = move<Bytes, RotateUp, Width>;
    table[group + prefix + "down" + type] = move<Bytes, RotateDown, Width>;
  }
  table[group + "shuffle_and_fill_up" + type] = move_and_fill<Bytes, true, Width>;
  table[group + "shuffle_and_fill_down" + type] = move_and_fill<Bytes, false, Width>;
  table[group + "broadcast_first" + type] = broadcast_first<Bytes, Width>;
}

template <unsigned Width> void add_group(Table& table, const std::string& group) {
  add_reductions<float, Width>(table, group, "f32");
  add_reductions<Half, Width>(table, group, "f16");
  add_reductions<BFloat, Width>(table, group, "bf16");
  add_reductions<std::int8_t, Width>(table, group, "s8");
  add_reductions<std::uint8_t, Width>(table, group, "u8");
  add_reductions<std::int16_t, Width>(table, group, "s16");
  add_reductions<std::uint16_t, Width>(table, group, "u16");
  add_reductions<std::int32_t, Width>(table, group, "s32");
  add_reductions<std::uint32_t, Width>(table, group, "u32");
  add_reductions<std::int64_t, Width>(table, group, "s64");
  add_reductions<std::uint64_t, Width>(table, group, "u64");
  add_movements<1, Width>(table, group);
  add_movements<2, Width>(table, group);
  add_movements<4, Width>(table, group);
  add_movements<8, Width>(table, group);
  table[group + "any"] = vote<Vote::any, Width>;
  table[group + "all"] = vote<Vote::all, Width>;
  table[group + "ballot"] = vote<Vote::ballot, Width>;
  table[group + "is_first"] = vote<Vote::is_first, Width>;
  table[group + "active_threads_mask"] = vote<Vote::active, Width>;
}

} // namespace

simt::Combine* find_combine(std::string_view name) {
  static const Table table = [] {
    Table all;
    add_group<kSimdgroupSize>(all, "simd_");
    add_group<4>(all, "quad_");
    all["matrix_multiply"] = matrix_multiply;
    return all;
  }();
  const auto found = table.find(std::string(name));
  return found == table.end() ? nullptr : found->second;
}

} // namespace metalwright::cpu
