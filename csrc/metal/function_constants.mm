// Function constants: what a function has, and the values that specialise it.
#include "metal/function_constants.h"

#include "metal/data_types.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace metalwright::metal {

namespace {

struct ScalarType {
  enum Kind { boolean, signed_integer, unsigned_integer, half, bfloat, single } kind;
  const char* name;
  unsigned bytes;
  MTLDataType type; // of the scalar; vectors of two to four follow
};

constexpr std::array<ScalarType, 12> scalar_types = {{
    {ScalarType::boolean, "bool", 1, MTLDataTypeBool},
    {ScalarType::signed_integer, "char", 1, MTLDataTypeChar},
    {ScalarType::unsigned_integer, "uchar", 1, MTLDataTypeUChar},
    {ScalarType::signed_integer, "short", 2, MTLDataTypeShort},
    {ScalarType::unsigned_integer, "ushort", 2, MTLDataTypeUShort},
    {ScalarType::signed_integer, "int", 4, MTLDataTypeInt},
    {ScalarType::unsigned_integer, "uint", 4, MTLDataTypeUInt},
    {ScalarType::signed_integer, "long", 8, MTLDataTypeLong},
    {ScalarType::unsigned_integer, "ulong", 8, MTLDataTypeULong},
    {ScalarType::half, "half", 2, MTLDataTypeHalf},
    {ScalarType::bfloat, "bfloat", 2, MTLDataTypeBFloat},
    {ScalarType::single, "float", 4, MTLDataTypeFloat},
}};

struct ConstantType {
  ScalarType scalar;
  unsigned count;
};

std::string describe(const FunctionConstant& constant) {
  return "function constant '" + constant.name + "' (index " + std::to_string(constant.index) +
         ", " + constant.type_name + ")";
}

[[noreturn]] void wrong(const FunctionConstant& constant, const std::string& given) {
  throw Error(errors::wrong_function_constant_type,
              describe(constant) + " cannot be set to " + given);
}

ConstantType type_of(const FunctionConstant& constant) {
  std::string name = constant.type_name;
  unsigned count = 1;
  if (!name.empty() && name.back() >= '2' && name.back() <= '4') {
    count = static_cast<unsigned>(name.back() - '0');
    name.pop_back();
  }
  for (const ScalarType& type : scalar_types)
    if (name == type.name)
      return {type, count};
  wrong(constant, "anything: this type is not known");
}

std::uint16_t bfloat_bits(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  if (value != value)
    return static_cast<std::uint16_t>((bits >> 16) | 0x40u); // quiet, whatever is cut off
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16); // nearest, even
}

void append(std::vector<unsigned char>& bytes, const void* value, std::size_t size) {
  const auto* const first = static_cast<const unsigned char*>(value);
  bytes.insert(bytes.end(), first, first + size);
}

void append_number(std::vector<unsigned char>& bytes, const FunctionConstant& constant,
                   const ScalarType& type, const ConstantNumber& number) {
  if (type.kind >= ScalarType::half) {
    double value = 0;
    if (const auto* real = std::get_if<double>(&number))
      value = *real;
    else if (const auto* integer = std::get_if<std::int64_t>(&number))
      value = static_cast<double>(*integer);
    else
      wrong(constant, "a bool: give a number");
    if (type.kind == ScalarType::single) {
      const auto single = static_cast<float>(value);
      append(bytes, &single, sizeof single);
    } else {
      const std::uint16_t bits = type.kind == ScalarType::bfloat
                                     ? bfloat_bits(value)
                                     : std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
      append(bytes, &bits, sizeof bits);
    }
    return;
  }
  std::int64_t value = 0;
  if (const auto* boolean = std::get_if<bool>(&number))
    value = *boolean ? 1 : 0;
  else if (const auto* integer = std::get_if<std::int64_t>(&number))
    value = *integer;
  else
    wrong(constant, "a floating-point number: give " +
                        std::string(type.kind == ScalarType::boolean ? "a bool" : "an integer"));
  if (type.kind == ScalarType::boolean && value != 0 && value != 1)
    wrong(constant, std::to_string(value) + ": give a bool");
  const unsigned bits = type.bytes * 8;
  // An unsigned 64-bit value above 2^63 cannot arrive as anything but a negative number.
  const bool fits =
      bits == 64 || type.kind == ScalarType::boolean ||
      (type.kind == ScalarType::signed_integer
           ? value >= -(std::int64_t{1} << (bits - 1)) && value < (std::int64_t{1} << (bits - 1))
           : value >= 0 && value < (std::int64_t{1} << bits));
  if (!fits)
    wrong(constant, std::to_string(value) + ": it is out of the type's range");
  append(bytes, &value, type.bytes); // little endian, as everything Metal runs on
}

bool is_named(const FunctionConstant& constant, const std::string& key) {
  return constant.name == key || std::to_string(constant.index) == key;
}

} // namespace

std::vector<FunctionConstant> read_function_constants(id<MTLFunction> function) {
  std::vector<FunctionConstant> constants;
  NSDictionary<NSString*, MTLFunctionConstant*>* const dictionary =
      [function functionConstantsDictionary];
  for (NSString* key in dictionary) {
    MTLFunctionConstant* const found = [dictionary objectForKey:key];
    FunctionConstant constant;
    constant.index = static_cast<unsigned>(found.index);
    constant.name = from_objc(found.name);
    constant.type_name = data_type_name(found.type);
    constant.required = found.required == YES;
    constants.push_back(std::move(constant));
  }
  std::ranges::sort(constants, {}, &FunctionConstant::index);
  return constants;
}

std::vector<unsigned char> constant_bytes(const FunctionConstant& constant,
                                          const ConstantValue& value) {
  const ConstantType type = type_of(constant);
  const std::size_t given = value.elements.size();
  if (given != type.count)
    throw Error(errors::wrong_function_constant_type,
                describe(constant) + " takes " + std::to_string(type.count) + " value" +
                    (type.count == 1 ? "" : "s") + ", but " + std::to_string(given) +
                    (given == 1 ? " was" : " were") + " given");
  std::vector<unsigned char> bytes;
  for (const ConstantNumber& number : value.elements)
    append_number(bytes, constant, type.scalar, number);
  // A vector of three takes the room of four.
  bytes.resize(std::size_t{type.scalar.bytes} * (type.count == 3 ? 4 : type.count));
  return bytes;
}

Owned<MTLFunctionConstantValues*> make_constant_values(const std::string& kernel,
                                                       const std::vector<FunctionConstant>& all,
                                                       const std::vector<FunctionConstant>& own,
                                                       const ConstantValues& values) {
  for (const auto& [key, value] : values) {
    if (std::ranges::any_of(all, [&](const auto& constant) { return is_named(constant, key); }))
      continue;
    std::string known;
    for (const FunctionConstant& constant : all)
      known += (known.empty() ? "" : ", ") + constant.name;
    throw Error(errors::no_such_function_constant,
                "there is no function constant '" + key + "'; " +
                    (known.empty() ? "this library declares none" : "there are: " + known));
  }
  auto made = Owned<MTLFunctionConstantValues*>::adopt([[MTLFunctionConstantValues alloc] init]);
  for (const FunctionConstant& constant : own) {
    const auto given = std::ranges::find_if(
        values, [&](const auto& entry) { return is_named(constant, entry.first); });
    if (given == values.end()) {
      if (constant.required)
        throw Error(errors::missing_function_constant,
                    "kernel '" + kernel + "' needs a value for " + describe(constant));
      continue;
    }
    const ConstantType type = type_of(constant);
    const std::vector<unsigned char> bytes = constant_bytes(constant, given->second);
    [made.get() setConstantValue:bytes.data()
                            type:static_cast<MTLDataType>(
                                     static_cast<NSUInteger>(type.scalar.type) + type.count - 1)
                         atIndex:constant.index];
  }
  return made;
}

} // namespace metalwright::metal
