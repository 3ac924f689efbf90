// Metal's compiler messages, from the text of an NSError to diagnostics.
#pragma once

#include "../device.h" // not the one in this folder

#include <string>
#include <string_view>
#include <vector>

namespace metalwright::metal {

// `text` is the error's localizedDescription. Messages of the source itself, which Metal calls
// program_source, are renamed to `file_name`. What is no message (headings, counts, include
// stacks) is left out; empty if there is none.
std::vector<Diagnostic> parse_diagnostics(std::string_view text, const std::string& file_name);

} // namespace metalwright::metal
