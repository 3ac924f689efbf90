// Reads the function list of a .metallib. Numbers are little endian; the layout is described in
// docs/design/metallib.md.
#include "air/metallib.h"

#include "device.h"
#include "errors.h"

#include <llvm/Support/ConvertUTF.h>

#include <algorithm>

namespace metalwright::air {

namespace {

[[noreturn]] void invalid(const std::string& what) {
  throw Error(errors::invalid_metallib, "not a .metallib that can be read: " + what);
}

// A part of the file that is read from its beginning to its end.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::string place)
      : bytes_(bytes), place_(std::move(place)) {}

  std::size_t left() const { return bytes_.size() - position_; }
  std::span<const std::byte> take(std::uint64_t length) {
    if (length > left())
      invalid(place_ + " ends " + std::to_string(length - left()) + " bytes too early");
    const auto part = bytes_.subspan(position_, static_cast<std::size_t>(length));
    position_ += static_cast<std::size_t>(length);
    return part;
  }
  template <unsigned Bytes> std::uint64_t number() {
    const auto part = take(Bytes);
    std::uint64_t value = 0;
    for (unsigned i = 0; i < Bytes; ++i)
      value |= static_cast<std::uint64_t>(part[i]) << (8 * i);
    return value;
  }
  std::string_view text(std::uint64_t length) {
    const auto part = take(length);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  std::string place_;
  std::size_t position_ = 0;
};

std::span<const std::byte> section(std::span<const std::byte> content, std::uint64_t offset,
                                   std::uint64_t length, const char* what) {
  if (offset > content.size() || length > content.size() - offset)
    invalid(std::string("its ") + what + " (" + std::to_string(length) + " bytes at " +
            std::to_string(offset) + ") lies outside of the file's " +
            std::to_string(content.size()) + " bytes");
  return content.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
}

// For a message: bytes of a hostile file may be anything.
std::string printable(std::string_view text) {
  std::string result(text);
  std::replace_if(result.begin(), result.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return result;
}

std::string version(Reader& reader) {
  const std::uint64_t major = reader.number<2>(), minor = reader.number<2>();
  return std::to_string(major) + "." + std::to_string(minor);
}

// One entry: tagged fields up to ENDT.
MetallibFunction read_function(Reader entry, std::span<const std::byte> bitcode,
                               std::uint64_t index) {
  const std::string place = "function " + std::to_string(index);
  MetallibFunction function;
  bool has_name = false, has_offset = false, has_size = false;
  std::uint64_t offset = 0, size = 0;
  for (;;) {
    const std::string_view tag = entry.text(4);
    if (tag == "ENDT")
      break;
    const std::uint64_t length = entry.number<2>();
    Reader value(entry.take(length), place + ", field " + printable(tag));
    if (tag == "NAME") {
      const std::string_view text = value.text(length);
      function.name = text.substr(0, text.find('\0'));
      const auto* begin = reinterpret_cast<const llvm::UTF8*>(function.name.data());
      if (function.name.empty() || !llvm::isLegalUTF8String(&begin, begin + function.name.size()))
        invalid(place + " has a name that is not text");
      has_name = true;
    } else if (tag == "TYPE") {
      const std::uint64_t kind = value.number<1>();
      if (kind > static_cast<std::uint64_t>(FunctionKind::object))
        invalid(place + " is of a kind that is not known: " + std::to_string(kind));
      function.kind = static_cast<FunctionKind>(kind);
    } else if (tag == "MDSZ") {
      size = value.number<8>();
      has_size = true;
    } else if (tag == "OFFT") {
      value.number<8>(); // public metadata
      value.number<8>(); // private metadata
      offset = value.number<8>();
      has_offset = true;
    } else if (tag == "VERS") {
      function.air_version = version(value);
      function.language_version = version(value);
    } // HASH and what later versions add: nothing here needs it
  }
  if (!has_name || !has_offset || !has_size)
    invalid(place + " has no " + (has_name ? has_offset ? "MDSZ" : "OFFT" : "NAME") + " field");
  function.bitcode = section(bitcode, offset, size, ("bitcode of '" + function.name + "'").c_str());
  return function;
}

} // namespace

const char* name(FunctionKind kind) {
  static constexpr const char* names[] = {"vertex",       "fragment", "kernel",
                                          "function",     "visible",  "external",
                                          "intersection", "mesh",     "object"};
  return names[static_cast<unsigned>(kind)];
}

std::vector<MetallibFunction> read_metallib(std::span<const std::byte> content) {
  Reader header(content, "the header");
  if (header.text(std::min<std::size_t>(4, content.size())) != "MTLB")
    invalid("it does not begin with MTLB");
  header.take(12); // target platform and versions
  const std::uint64_t size = header.number<8>();
  if (size > content.size())
    invalid("it says that it has " + std::to_string(size) + " bytes, but there are " +
            std::to_string(content.size()));
  content = content.first(static_cast<std::size_t>(size));
  const std::uint64_t list_offset = header.number<8>(), list_size = header.number<8>();
  header.take(32); // public and private metadata
  const std::uint64_t code_offset = header.number<8>(), code_size = header.number<8>();
  // The count lies in front of what the header calls the list's size.
  section(content, list_offset, list_size, "function list");
  const auto bitcode = section(content, code_offset, code_size, "bitcode");
  Reader list(content.subspan(static_cast<std::size_t>(list_offset)), "the function list");
  const std::uint64_t count = list.number<4>();
  std::vector<MetallibFunction> functions;
  functions.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(count, list.left() / 8)));
  for (std::uint64_t index = 0; index < count; ++index) {
    const std::uint64_t length = list.number<4>(); // counts itself
    if (length < 4)
      invalid("function " + std::to_string(index) + " is " + std::to_string(length) +
              " bytes long");
    functions.push_back(read_function(
        Reader(list.take(length - 4), "function " + std::to_string(index)), bitcode, index));
  }
  return functions;
}

} // namespace metalwright::air
