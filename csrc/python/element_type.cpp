// Element types: what a tensor holds, what an MSL type name means, and which go together.
#include "python/element_type.h"

#include <array>
#include <bit>
#include <cctype>
#include <utility>

namespace metalwright::python {

namespace {

struct ElementRow {
  ElementType type;
  std::string_view name;
  std::uint64_t size;
};

constexpr std::array<ElementRow, 18> element_rows = {{
    {ElementType::float16, "float16", 2},
    {ElementType::bfloat16, "bfloat16", 2},
    {ElementType::float32, "float32", 4},
    {ElementType::float64, "float64", 8},
    {ElementType::int8, "int8", 1},
    {ElementType::int16, "int16", 2},
    {ElementType::int32, "int32", 4},
    {ElementType::int64, "int64", 8},
    {ElementType::uint8, "uint8", 1},
    {ElementType::uint16, "uint16", 2},
    {ElementType::uint32, "uint32", 4},
    {ElementType::uint64, "uint64", 8},
    {ElementType::boolean, "bool", 1},
    {ElementType::complex32, "complex32", 4},
    {ElementType::complex64, "complex64", 8},
    {ElementType::complex128, "complex128", 16},
    {ElementType::float8, "float8", 1},
    {ElementType::other, "other", 0},
}};

constexpr std::uint32_t bit(ElementType type) {
  return 1u << static_cast<unsigned>(type);
}

struct ScalarRow {
  std::string_view name;
  Scalar scalar;
};

// Every spelling of a scalar that MSL knows; the canonical one of each comes first.
constexpr std::array<ScalarRow, 34> scalar_rows = {{
    {"float", Scalar::float32},
    {"half", Scalar::float16},
    {"bfloat", Scalar::bfloat16},
    {"bool", Scalar::boolean},
    {"char", Scalar::int8},
    {"uchar", Scalar::uint8},
    {"short", Scalar::int16},
    {"ushort", Scalar::uint16},
    {"int", Scalar::int32},
    {"uint", Scalar::uint32},
    {"long", Scalar::int64},
    {"ulong", Scalar::uint64},
    {"int8_t", Scalar::int8},
    {"uint8_t", Scalar::uint8},
    {"int16_t", Scalar::int16},
    {"uint16_t", Scalar::uint16},
    {"int32_t", Scalar::int32},
    {"uint32_t", Scalar::uint32},
    {"int64_t", Scalar::int64},
    {"uint64_t", Scalar::uint64},
    {"size_t", Scalar::uint64},
    {"ptrdiff_t", Scalar::int64},
    {"signed char", Scalar::int8},
    {"unsigned char", Scalar::uint8},
    {"unsigned short", Scalar::uint16},
    {"unsigned int", Scalar::uint32},
    {"unsigned", Scalar::uint32},
    {"unsigned long", Scalar::uint64},
    {"long long", Scalar::int64},
    {"unsigned long long", Scalar::uint64},
    {"_Float16", Scalar::float16},
    {"__fp16", Scalar::float16},
    {"__bf16", Scalar::bfloat16},
    {"bfloat16_t", Scalar::bfloat16},
}};

std::optional<Scalar> scalar_named(std::string_view name) {
  for (const ScalarRow& row : scalar_rows)
    if (row.name == name)
      return row.scalar;
  return std::nullopt;
}

bool remove_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix))
    return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  return text;
}

std::optional<unsigned> number(std::string_view text) {
  text = trimmed(text);
  if (text.empty() || text.size() > 6)
    return std::nullopt;
  unsigned value = 0;
  for (char c : text) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0)
      return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

// "name<first>" or "name<first, second>": the inside, split at its last comma.
struct TemplateArguments {
  std::string_view first, second;
};
std::optional<TemplateArguments> template_arguments(std::string_view text, std::string_view name) {
  if (!remove_prefix(text, name) || text.size() < 3 || text.front() != '<' || text.back() != '>')
    return std::nullopt;
  text = text.substr(1, text.size() - 2);
  const std::size_t comma = text.rfind(',');
  if (comma == std::string_view::npos)
    return TemplateArguments{trimmed(text), {}};
  return TemplateArguments{trimmed(text.substr(0, comma)), trimmed(text.substr(comma + 1))};
}

void set_vector(ArgumentType& type, unsigned lanes, bool packed) {
  type.rows = lanes;
  type.row_stride = lanes == 3 && !packed ? 4 : lanes;
}

// "float4", "packed_half3", "float4x4": a scalar's name followed by its dimensions.
bool parse_vector(std::string_view text, ArgumentType& type) {
  const bool packed = remove_prefix(text, "packed_");
  if (text.size() < 2)
    return false;
  const auto lanes_of = [](char c) {
    return c >= '2' && c <= '4' ? static_cast<unsigned>(c - '0') : 0u;
  };
  const unsigned last = lanes_of(text.back());
  if (last == 0)
    return false;
  std::string_view name = text.substr(0, text.size() - 1);
  unsigned columns = 1;
  if (name.size() > 2 && name.back() == 'x' && lanes_of(name[name.size() - 2]) != 0) {
    columns = lanes_of(name[name.size() - 2]);
    name = name.substr(0, name.size() - 2);
  }
  type.scalar = scalar_named(name);
  if (!type.scalar)
    return false;
  set_vector(type, last, packed);
  type.columns = columns;
  return true;
}

void parse(std::string_view text, ArgumentType& type) {
  text = trimmed(text);
  while (remove_prefix(text, "metal::") || remove_prefix(text, "const ") ||
         remove_prefix(text, "volatile ")) {
  }
  if ((type.scalar = scalar_named(text)) || parse_vector(text, type))
    return;
  if (std::string_view rest = text; remove_prefix(rest, "atomic_")) {
    type.is_atomic = true;
    type.scalar = scalar_named(rest);
    return;
  }
  for (std::string_view name : {"_atomic", "atomic"})
    if (const auto inside = template_arguments(text, name)) {
      parse(inside->first, type);
      type.is_atomic = true;
      return;
    }
  for (const auto& [name, packed] : {std::pair{"vec", false}, std::pair{"packed_vec", true}})
    if (const auto inside = template_arguments(text, name)) {
      const auto lanes = number(inside->second);
      type.scalar = scalar_named(inside->first);
      if (type.scalar && lanes && *lanes >= 1 && *lanes <= 4)
        set_vector(type, *lanes, packed);
      else
        type.scalar.reset();
      return;
    }
  if (const auto inside = template_arguments(text, "array")) {
    const auto length = number(inside->second);
    ArgumentType element;
    parse(inside->first, element);
    if (element.scalar && element.columns == 1 && length && *length > 0) {
      type = element;
      type.columns = *length;
    }
    return;
  }
  // "float[4]" is how a plain array prints.
  if (const std::size_t open = text.find('[');
      open != std::string_view::npos && text.back() == ']') {
    const auto length = number(text.substr(open + 1, text.size() - open - 2));
    ArgumentType element;
    parse(text.substr(0, open), element);
    if (element.scalar && element.columns == 1 && length && *length > 0) {
      type = element;
      type.columns = *length;
    }
  }
}

std::uint32_t accepted_by(Scalar scalar, const ArgumentType& type) {
  const bool pairs = type.rows == 2 && type.columns == 1;
  switch (scalar) {
  case Scalar::boolean:
    return bit(ElementType::boolean);
  case Scalar::int8:
    return bit(ElementType::int8);
  case Scalar::int16:
    return bit(ElementType::int16);
  case Scalar::int32:
    return bit(ElementType::int32);
  case Scalar::int64:
    return bit(ElementType::int64);
  case Scalar::uint8:
    // `uchar*` is how MSL spells raw memory: quantised weights, packed formats, bool masks.
    return type.rows == 1 ? ~0u : bit(ElementType::uint8);
  case Scalar::uint16:
    return bit(ElementType::uint16);
  case Scalar::uint32:
    // Counters are allocated with torch.zeros(n, dtype=torch.int32) everywhere: torch cannot
    // compute with uint32, so for an atomic there is no natural unsigned tensor.
    return bit(ElementType::uint32) | (type.is_atomic ? bit(ElementType::int32) : 0u);
  case Scalar::uint64:
    return bit(ElementType::uint64) | (type.is_atomic ? bit(ElementType::int64) : 0u);
  case Scalar::float16:
    return bit(ElementType::float16) | (pairs ? bit(ElementType::complex32) : 0u);
  case Scalar::bfloat16:
    return bit(ElementType::bfloat16);
  case Scalar::float32:
    return bit(ElementType::float32) | (pairs ? bit(ElementType::complex64) : 0u);
  }
  return ~0u;
}

} // namespace

std::uint64_t size_of(ElementType type) {
  return element_rows[static_cast<std::size_t>(type)].size;
}

std::string_view name_of(ElementType type) {
  return element_rows[static_cast<std::size_t>(type)].name;
}

std::uint64_t size_of(Scalar scalar) {
  switch (scalar) {
  case Scalar::boolean:
  case Scalar::int8:
  case Scalar::uint8:
    return 1;
  case Scalar::int16:
  case Scalar::uint16:
  case Scalar::float16:
  case Scalar::bfloat16:
    return 2;
  case Scalar::int32:
  case Scalar::uint32:
  case Scalar::float32:
    return 4;
  case Scalar::int64:
  case Scalar::uint64:
    return 8;
  }
  return 0;
}

ArgumentType parse_argument_type(std::string_view type_name) {
  ArgumentType type;
  parse(type_name, type);
  if (type.scalar)
    type.accepts = accepted_by(*type.scalar, type);
  return type;
}

std::string accepted_names(const ArgumentType& type) {
  std::string names;
  for (const ElementRow& row : element_rows)
    if (type.accepts_type(row.type))
      names += (names.empty() ? "" : " or ") + std::string(row.name);
  return names;
}

ElementType parse_buffer_format(const char* format, std::uint64_t item_size) {
  std::string_view text = format == nullptr ? "B" : format;
  if (!text.empty() && std::string_view("@=<|").find(text.front()) != std::string_view::npos) {
    if (text.front() == '<' && std::endian::native != std::endian::little)
      return ElementType::other;
    text.remove_prefix(1);
  }
  const bool complex = remove_prefix(text, "Z");
  if (text.size() != 1)
    return ElementType::other;
  const char c = text.front();
  const auto sized = [&](ElementType one, ElementType two, ElementType four, ElementType eight) {
    return item_size == 1   ? one
           : item_size == 2 ? two
           : item_size == 4 ? four
           : item_size == 8 ? eight
                            : ElementType::other;
  };
  if (complex)
    return c == 'f'   ? ElementType::complex64
           : c == 'd' ? ElementType::complex128
                      : ElementType::other;
  switch (c) {
  case '?':
    return ElementType::boolean;
  case 'e':
    return ElementType::float16;
  case 'f':
    return ElementType::float32;
  case 'd':
    return ElementType::float64;
  case 'b':
  case 'h':
  case 'i':
  case 'l':
  case 'q':
  case 'n':
    return sized(ElementType::int8, ElementType::int16, ElementType::int32, ElementType::int64);
  case 'c':
  case 'B':
  case 'H':
  case 'I':
  case 'L':
  case 'Q':
  case 'N':
    return sized(ElementType::uint8, ElementType::uint16, ElementType::uint32, ElementType::uint64);
  default:
    return ElementType::other;
  }
}

} // namespace metalwright::python
