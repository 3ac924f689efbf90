// MSL's names of the types that Metal's reflection numbers.
#include "metal/data_types.h"

namespace metalwright::metal {

std::string data_type_name(MTLDataType type) {
  // Scalars and vectors of a type follow each other, one to four components.
  struct Row {
    NSUInteger first;
    const char* name;
  };
  constexpr Row rows[] = {
      {MTLDataTypeFloat, "float"}, {MTLDataTypeHalf, "half"},   {MTLDataTypeInt, "int"},
      {MTLDataTypeUInt, "uint"},   {MTLDataTypeShort, "short"}, {MTLDataTypeUShort, "ushort"},
      {MTLDataTypeChar, "char"},   {MTLDataTypeUChar, "uchar"}, {MTLDataTypeBool, "bool"},
      {MTLDataTypeLong, "long"},   {MTLDataTypeULong, "ulong"}, {MTLDataTypeBFloat, "bfloat"},
  };
  const auto number = static_cast<NSUInteger>(type);
  for (const Row& row : rows)
    if (number >= row.first && number < row.first + 4)
      return row.name + (number == row.first ? "" : std::to_string(number - row.first + 1));
  // Matrices: two to four columns of two to four rows.
  for (const Row& row : {Row{MTLDataTypeFloat2x2, "float"}, Row{MTLDataTypeHalf2x2, "half"}})
    if (number >= row.first && number < row.first + 9)
      return row.name + std::to_string((number - row.first) / 3 + 2) + "x" +
             std::to_string((number - row.first) % 3 + 2);
  return {};
}

} // namespace metalwright::metal
