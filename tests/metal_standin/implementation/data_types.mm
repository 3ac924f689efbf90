// Names of Metal types and their places in MTLDataType.
#import "objects.h"

#include <cstring>

namespace metal_standin {

namespace {

struct Scalar {
  const char* name;
  MTLDataType type; // vectors of 2, 3 and 4 follow it
  NSUInteger size;
};
constexpr Scalar kScalars[] = {
    {"float", MTLDataTypeFloat, 4},   {"half", MTLDataTypeHalf, 2},
    {"bfloat", MTLDataTypeBFloat, 2}, {"int", MTLDataTypeInt, 4},
    {"uint", MTLDataTypeUInt, 4},     {"short", MTLDataTypeShort, 2},
    {"ushort", MTLDataTypeUShort, 2}, {"char", MTLDataTypeChar, 1},
    {"uchar", MTLDataTypeUChar, 1},   {"bool", MTLDataTypeBool, 1},
    {"long", MTLDataTypeLong, 8},     {"ulong", MTLDataTypeULong, 8},
};

MTLDataType matrix_type(MTLDataType first, const char* shape) {
  if (std::strlen(shape) != 3 || shape[1] != 'x' || shape[0] < '2' || shape[0] > '4' ||
      shape[2] < '2' || shape[2] > '4')
    return MTLDataTypeStruct;
  return MTLDataType(first + (shape[0] - '2') * 3 + (shape[2] - '2'));
}

const Scalar* scalar_of(MTLDataType type, unsigned& elements) {
  for (const Scalar& scalar : kScalars)
    if (type >= scalar.type && type < scalar.type + 4) {
      elements = unsigned(type - scalar.type) + 1;
      return &scalar;
    }
  return nullptr;
}

template <typename T> T read(const void* bytes, unsigned index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(bytes) + index * sizeof(T), sizeof(T));
  return value;
}

double half_to_double(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const double fraction = bits & 1023;
  double value = exponent == 0    ? fraction * 0x1p-24
                 : exponent == 31 ? (fraction != 0 ? __builtin_nan("") : __builtin_inf())
                                  : __builtin_ldexp(fraction + 1024, exponent - 25);
  return bits >> 15 ? -value : value;
}

double bfloat_to_double(std::uint16_t bits) {
  const std::uint32_t wide = std::uint32_t(bits) << 16;
  return read<float>(&wide, 0);
}

metalwright::ConstantNumber number(MTLDataType scalar, const void* bytes, unsigned index) {
  switch (scalar) {
  case MTLDataTypeFloat:
    return double(read<float>(bytes, index));
  case MTLDataTypeHalf:
    return half_to_double(read<std::uint16_t>(bytes, index));
  case MTLDataTypeBFloat:
    return bfloat_to_double(read<std::uint16_t>(bytes, index));
  case MTLDataTypeInt:
    return std::int64_t(read<std::int32_t>(bytes, index));
  case MTLDataTypeUInt:
    return std::int64_t(read<std::uint32_t>(bytes, index));
  case MTLDataTypeShort:
    return std::int64_t(read<std::int16_t>(bytes, index));
  case MTLDataTypeUShort:
    return std::int64_t(read<std::uint16_t>(bytes, index));
  case MTLDataTypeChar:
    return std::int64_t(read<std::int8_t>(bytes, index));
  case MTLDataTypeUChar:
    return std::int64_t(read<std::uint8_t>(bytes, index));
  case MTLDataTypeBool:
    return read<std::uint8_t>(bytes, index) != 0;
  default: // long, ulong
    return read<std::int64_t>(bytes, index);
  }
}

} // namespace

MTLDataType data_type(const std::string& type_name) {
  std::string name = type_name;
  for (const char* prefix : {"packed_", "atomic_"})
    if (name.rfind(prefix, 0) == 0)
      name.erase(0, std::strlen(prefix));
  for (const Scalar& scalar : kScalars) {
    if (name.rfind(scalar.name, 0) != 0)
      continue;
    const std::string rest = name.substr(std::strlen(scalar.name));
    if (rest.empty())
      return scalar.type;
    if (rest.size() == 1 && rest[0] >= '2' && rest[0] <= '4')
      return MTLDataType(scalar.type + (rest[0] - '1'));
    if (scalar.type == MTLDataTypeFloat || scalar.type == MTLDataTypeHalf)
      return matrix_type(scalar.type == MTLDataTypeFloat ? MTLDataTypeFloat2x2 : MTLDataTypeHalf2x2,
                         rest.c_str());
  }
  return MTLDataTypeStruct;
}

NSUInteger constant_size(MTLDataType type) {
  unsigned elements = 0;
  const Scalar* scalar = scalar_of(type, elements);
  if (!scalar)
    return 0;
  return scalar->size * (elements == 3 ? 4 : elements); // a vector of 3 takes the room of 4
}

metalwright::ConstantValue constant_value(MTLDataType type, const void* bytes) {
  metalwright::ConstantValue value;
  unsigned elements = 0;
  if (const Scalar* scalar = scalar_of(type, elements))
    for (unsigned i = 0; i < elements; ++i)
      value.elements.push_back(number(scalar->type, bytes, i));
  return value;
}

} // namespace metal_standin
