// Metal's compiler messages, from the text of an NSError to diagnostics.
#include "metal/diagnostics.h"

#include <cctype>
#include <optional>
#include <utility>

namespace metalwright::metal {

namespace {

// "123" at the end of `text`, after a colon; both are taken off.
std::optional<unsigned> take_number(std::string_view& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == text.size() || text.size() - colon > 9)
    return std::nullopt;
  unsigned number = 0;
  for (char c : text.substr(colon + 1)) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0)
      return std::nullopt;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  text = text.substr(0, colon);
  return number;
}

// "file:line:column: severity: message", or with less of a place.
std::optional<Diagnostic> parse_head(std::string_view line) {
  constexpr std::pair<std::string_view, Severity> severities[] = {
      {"fatal error: ", Severity::error},
      {"error: ", Severity::error},
      {"warning: ", Severity::warning},
      {"note: ", Severity::note},
  };
  for (const auto& [word, severity] : severities) {
    // The first occurrence that stands at the start or behind a place: a message may quote others.
    std::size_t at = line.find(word);
    if (at != 0 && at != std::string_view::npos) {
      at = line.find(": " + std::string(word));
      at = at == std::string_view::npos ? at : at + 2;
    }
    if (at == std::string_view::npos)
      continue;
    Diagnostic diagnostic;
    diagnostic.severity = severity;
    diagnostic.message = line.substr(at + word.size());
    if (at == 0)
      return diagnostic;
    std::string_view place = line.substr(0, at - 2);
    const auto last = take_number(place);
    const auto first = last ? take_number(place) : std::nullopt;
    if (!last) // not a place: a line of source text with "error: " in it
      continue;
    diagnostic.line = first ? *first : *last;
    diagnostic.column = first ? *last : 0;
    diagnostic.file = place;
    return diagnostic;
  }
  return std::nullopt;
}

bool is_caret_line(std::string_view line) {
  return line.find('^') != std::string_view::npos &&
         line.find_first_not_of(" \t~^") == std::string_view::npos;
}

} // namespace

std::vector<Diagnostic> parse_diagnostics(std::string_view text, const std::string& file_name) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r')
      line.remove_suffix(1);
    lines.push_back(line);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  std::vector<Diagnostic> diagnostics;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::optional<Diagnostic> diagnostic = parse_head(lines[i]);
    if (!diagnostic)
      continue;
    if (diagnostic->file == "program_source")
      diagnostic->file = file_name;
    if (i + 2 < lines.size() && is_caret_line(lines[i + 2])) {
      diagnostic->source_line = lines[i + 1];
      diagnostic->caret = lines[i + 2];
      i += 2;
    }
    diagnostics.push_back(std::move(*diagnostic));
  }
  return diagnostics;
}

} // namespace metalwright::metal
