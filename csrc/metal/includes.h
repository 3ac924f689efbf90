// Metal takes no include paths for source text: the user's files are put into it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace metalwright::metal {

// `source` with every #include that names a file found in `paths` (or, quoted, beside the including
// file) replaced by that file, between #line directives so that diagnostics name the place where a
// line really stands. Other includes stay: <metal_stdlib> and its parts are Metal's own.
// `#pragma once` is kept in effect. Throws Error("include-depth") for files that include each other
// without end.
std::string inline_includes(std::string_view source, const std::vector<std::string>& paths);

} // namespace metalwright::metal
