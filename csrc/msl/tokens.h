// Rewrites MSL's own grammar to C++ that Clang parses, between the preprocessor and the parser.
#pragma once

#include <clang/Lex/Preprocessor.h>
#include <clang/Lex/Token.h>

#include <vector>

namespace metalwright::msl {

// Requires: `tokens` is the whole preprocessed translation unit, its tok::eof last.
// Guarantees: every token, new ones included, has the location of the source it stands for, so that
// diagnostics point at what the user wrote. Reports unknown attributes to the preprocessor's
// diagnostics engine, and names that `language_version` does not have yet. What is rewritten:
//   device, threadgroup, constant, thread  to the address-space qualifiers that Clang knows; a
//   variable
//                                          (not a pointer) in threadgroup or constant memory
//                                          becomes static
//   kernel, [[attribute(arguments)]]       to annotations named "msl.<attribute>"
//   template [[host_name("f")]] ...        likewise, in the place where Clang accepts them
//   1.5h, 1.5bf, 1.5                       to Clang's suffix, to a cast, to 1.5f
//   f(constant int a[2])                   to `constant int (*a)`
//   (bfloat)x, half(x), static_cast<T>(x)  to casts of __widened(x): between half and bfloat by way
//                                          of float (not in the library itself)
//   tensor[i, j]                           to tensor[indices(i, j)]
//   "text" as an argument                  to `constant const char*`
//   `f() const device`, ...                to an attribute in front of the member
//                                          (clang_attributes.h)
std::vector<clang::Token> rewrite_tokens(clang::Preprocessor& preprocessor,
                                         std::vector<clang::Token> tokens, bool is_library,
                                         unsigned language_version);

} // namespace metalwright::msl
