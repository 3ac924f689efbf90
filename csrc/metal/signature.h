// What Metal's reflection leaves out of a kernel's arguments, read from the source text.
#pragma once

#include "../device.h" // not the one in this folder

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace metalwright::metal {

// A parameter that is a pointer or a reference.
struct Parameter {
  AddressSpace address_space = AddressSpace::device;
  bool is_reference = false;
  std::string type_name; // of the pointee, without qualifiers
  bool operator==(const Parameter&) const = default;
};

// The same with what its attributes say.
struct DeclaredParameter {
  std::string name;
  Parameter parameter;
  std::optional<unsigned> buffer; // [[buffer(n)]]
  bool is_conditional = false;    // [[function_constant(...)]]
};

// The parameter lists of the kernels that a source defines. No preprocessor and no parser: what a
// macro makes is not seen.
class Signatures {
 public:
  explicit Signatures(std::string_view source);

  // The parameter `name` of the kernel that Metal calls `kernel` (its name, or its host_name). If
  // the source does not show which function that is: what all functions that have such a parameter
  // agree on. Nothing if there is no answer.
  std::optional<Parameter> find(std::string_view kernel, std::string_view name) const;

  // The pointers and references among the kernel's parameters, in order; null if the source does
  // not show exactly one function of that name.
  const std::vector<DeclaredParameter>* list(std::string_view kernel) const;

 private:
  using Parameters = std::vector<DeclaredParameter>;

  std::string_view function_of(std::string_view kernel) const;

  std::multimap<std::string, Parameters, std::less<>> kernels_; // by function name
  std::map<std::string, std::string, std::less<>> host_names_;  // host_name -> function name
};

} // namespace metalwright::metal
