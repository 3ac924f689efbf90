// What Metal's reflection leaves out of a kernel's arguments, read from the source text.
#include "metal/signature.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <span>

namespace metalwright::metal {

namespace {

using Tokens = std::vector<std::string_view>;

bool is_identifier_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

bool is_identifier(std::string_view token) {
  return !token.empty() && is_identifier_character(token.front()) &&
         std::isdigit(static_cast<unsigned char>(token.front())) == 0;
}

// Identifiers, numbers, strings with their quotes, `::`, and single characters; without comments
// and without preprocessor lines.
Tokens tokenise(std::string_view text) {
  Tokens tokens;
  bool line_start = true;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '\n') {
      line_start = true;
      ++i;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      ++i;
    } else if (text.substr(i, 2) == "//") {
      i = std::min(text.find('\n', i), text.size());
    } else if (text.substr(i, 2) == "/*") {
      const std::size_t end = text.find("*/", i + 2);
      i = end == std::string_view::npos ? text.size() : end + 2;
    } else if (c == '#' && line_start) {
      do {
        i = std::min(text.find('\n', i + 1), text.size());
      } while (i < text.size() && (text[i - 1] == '\\' || text.substr(i - 2, 2) == "\\\r"));
    } else {
      line_start = false;
      std::size_t end = i + 1;
      if (is_identifier_character(c)) {
        while (end < text.size() && is_identifier_character(text[end]))
          ++end;
      } else if (c == '"' || c == '\'') {
        while (end < text.size() && text[end] != c)
          end += text[end] == '\\' ? 2 : 1;
        end = std::min(end + 1, text.size());
      } else if (text.substr(i, 2) == "::") {
        end = i + 2;
      }
      tokens.push_back(text.substr(i, end - i));
      i = end;
    }
  }
  return tokens;
}

// The index of the token that closes the bracket at `open`; the end if none does.
std::size_t closing(std::span<const std::string_view> tokens, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < tokens.size(); ++i) {
    if (tokens[i] == "(" || tokens[i] == "[" || tokens[i] == "{")
      ++depth;
    else if ((tokens[i] == ")" || tokens[i] == "]" || tokens[i] == "}") && --depth == 0)
      return i;
  }
  return tokens.size();
}

std::optional<AddressSpace> address_space(std::string_view token) {
  if (token == "device")
    return AddressSpace::device;
  if (token == "constant")
    return AddressSpace::constant;
  if (token == "threadgroup")
    return AddressSpace::threadgroup;
  return std::nullopt;
}

std::optional<unsigned> number(std::string_view token) {
  unsigned value = 0;
  for (const char c : token.substr(0, 4)) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0)
      return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

// One parameter without its comma. Nothing if it is neither a pointer nor a reference.
std::optional<DeclaredParameter> read_parameter(std::span<const std::string_view> tokens) {
  DeclaredParameter declared;
  Parameter& parameter = declared.parameter;
  std::optional<AddressSpace> space;
  bool indirect = false;
  std::string_view name;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string_view token = tokens[i];
    if (token == "=") // a default
      break;
    if (token == "[") { // attributes, or an array's length
      const std::size_t end = closing(tokens, i);
      for (std::size_t j = i; j + 3 < end; ++j) {
        declared.is_conditional |= tokens[j] == "function_constant";
        if (tokens[j] == "buffer" && tokens[j + 1] == "(" && tokens[j + 3] == ")")
          declared.buffer = number(tokens[j + 2]);
      }
      i = end;
      continue;
    }
    if (token == "__attribute__" && i + 1 < tokens.size()) {
      i = closing(tokens, i + 1);
      continue;
    }
    if (const auto found = address_space(token)) {
      space = found;
    } else if (token == "*" || token == "&") {
      indirect = true;
      parameter.is_reference = token == "&";
    } else if (token == "const" || token == "volatile" || token == "restrict" ||
               token == "__restrict" || token == "coherent" || token == "struct") {
    } else if (indirect) {
      name = token;
    } else {
      if (!parameter.type_name.empty() && is_identifier_character(parameter.type_name.back()) &&
          is_identifier_character(token.front()))
        parameter.type_name += ' ';
      parameter.type_name += token;
      if (token == ",")
        parameter.type_name += ' ';
    }
  }
  if (!space || !indirect || name.empty())
    return std::nullopt;
  parameter.address_space = *space;
  if (parameter.type_name.starts_with("metal::"))
    parameter.type_name.erase(0, 7);
  declared.name = name;
  return declared;
}

} // namespace

Signatures::Signatures(std::string_view source) {
  const Tokens tokens = tokenise(source);
  const std::span all(tokens);
  for (std::size_t i = 0; i + 3 < tokens.size(); ++i) {
    if (tokens[i] != "kernel")
      continue;
    // `kernel void f(` or `[[kernel, ...]] void f(`, with attributes anywhere in between.
    std::size_t at = i + 1;
    if (i > 0 && (tokens[i - 1] == "[" || tokens[i - 1] == ",")) {
      while (at < tokens.size() && tokens[at] != "]" && tokens[at] != ";")
        at = tokens[at] == "(" ? closing(all, at) + 1 : at + 1;
      while (at < tokens.size() && tokens[at] == "]")
        ++at;
    }
    std::string_view function;
    for (; at < tokens.size() && tokens[at] != "(" && tokens[at] != ";" && tokens[at] != "{";
         ++at) {
      if (tokens[at] == "[")
        at = closing(all, at);
      else if (is_identifier(tokens[at]))
        function = tokens[at];
      if (at < tokens.size() && tokens[at] == "__attribute__" && at + 1 < tokens.size()) {
        at = closing(all, at + 1);
        function = {};
      }
    }
    if (at >= tokens.size() || tokens[at] != "(" || function.empty() || function == "decltype")
      continue;
    const std::size_t end = closing(all, at);
    Parameters parameters;
    std::size_t begin = at + 1;
    int depth = 0;
    for (std::size_t j = begin; j <= end && j < tokens.size(); ++j) {
      const std::string_view token = tokens[j];
      if (j == end || (token == "," && depth == 0)) {
        if (auto parameter = read_parameter(all.subspan(begin, j - begin)))
          parameters.push_back(std::move(*parameter));
        begin = j + 1;
      } else if (token == "(" || token == "[" || token == "{" || token == "<") {
        ++depth;
      } else if (token == ")" || token == "]" || token == "}" || token == ">") {
        --depth;
      }
    }
    kernels_.emplace(function, std::move(parameters));
    i = end;
  }
  // host_name("x"), then the first name up to the end of the declaration that is a kernel's.
  for (std::size_t i = 0; i + 2 < tokens.size(); ++i) {
    if (tokens[i] != "host_name" || tokens[i + 1] != "(" || tokens[i + 2].size() < 2 ||
        tokens[i + 2].front() != '"')
      continue;
    const std::string_view name = tokens[i + 2].substr(1, tokens[i + 2].size() - 2);
    for (std::size_t j = i + 3; j < tokens.size() && tokens[j] != ";" && tokens[j] != "{"; ++j)
      if (kernels_.contains(tokens[j])) {
        host_names_.emplace(name, tokens[j]);
        break;
      }
  }
}

std::string_view Signatures::function_of(std::string_view kernel) const {
  if (const auto host = host_names_.find(kernel); host != host_names_.end())
    return host->second;
  const std::size_t colons = kernel.rfind("::");
  return colons == std::string_view::npos ? kernel : kernel.substr(colons + 2);
}

const std::vector<DeclaredParameter>* Signatures::list(std::string_view kernel) const {
  const auto [begin, end] = kernels_.equal_range(function_of(kernel));
  return begin != end && std::next(begin) == end ? &begin->second : nullptr;
}

std::optional<Parameter> Signatures::find(std::string_view kernel, std::string_view name) const {
  auto [begin, end] = kernels_.equal_range(function_of(kernel));
  if (begin == end) {
    begin = kernels_.begin();
    end = kernels_.end();
  }
  std::optional<Parameter> answer;
  for (auto candidate = begin; candidate != end; ++candidate)
    for (const DeclaredParameter& declared : candidate->second) {
      if (declared.name != name)
        continue;
      if (answer && *answer != declared.parameter)
        return std::nullopt;
      answer = declared.parameter;
    }
  return answer;
}

} // namespace metalwright::metal
