// Collects what Clang reports as structured diagnostics.
#include "msl/diagnostics.h"

#include <clang/Lex/Lexer.h>
#include <llvm/ADT/StringExtras.h>

namespace metalwright::msl {

// The line printed under the source line: `~` under ranges, `^` at the place. Tabs are kept, so
// that the two lines stay aligned however wide a tab is shown.
static std::string caret_line(const clang::Diagnostic& info, clang::FullSourceLoc place,
                              llvm::StringRef line, const clang::LangOptions& options) {
  const clang::SourceManager& sources = place.getManager();
  const clang::FileID file = place.getFileID();
  const unsigned number = place.getSpellingLineNumber();
  std::string caret(line.size() + 1, ' ');
  for (size_t i = 0; i < line.size(); ++i)
    if (line[i] == '\t')
      caret[i] = '\t';
  for (const clang::CharSourceRange& range : info.getRanges()) {
    const clang::CharSourceRange file_range =
        clang::Lexer::makeFileCharRange(range, sources, options);
    if (file_range.isInvalid() || sources.getFileID(file_range.getBegin()) != file)
      continue;
    const unsigned first_line = sources.getSpellingLineNumber(file_range.getBegin());
    const unsigned last_line = sources.getSpellingLineNumber(file_range.getEnd());
    if (first_line > number || last_line < number)
      continue;
    size_t begin =
        first_line < number ? 0 : sources.getSpellingColumnNumber(file_range.getBegin()) - 1;
    size_t end =
        last_line > number ? line.size() : sources.getSpellingColumnNumber(file_range.getEnd()) - 1;
    end = std::min(end, line.size());
    for (; begin < end; ++begin)
      if (caret[begin] != '\t')
        caret[begin] = '~';
  }
  const size_t column = place.getSpellingColumnNumber() - 1;
  caret[std::min(column, line.size())] = '^';
  caret.erase(caret.find_last_not_of(" \t") + 1);
  return caret;
}

// Clang's names for what MSL calls otherwise, as whole words.
static std::string in_metal_terms(llvm::StringRef message) {
  static constexpr std::pair<llvm::StringRef, llvm::StringRef> names[] = {
      {"const __restrict __private", "constant"},
      {"__restrict __global", "device"},
      {"__restrict __local", "threadgroup"},
      {"const __private", "constant"},
      {"address space unqualified", "address space 'thread'"},
      {"__private", "constant"},
      {"__global", "device"},
      {"__local", "threadgroup"},
      {"_Float16", "half"},
      {"__bf16", "bfloat"},
      {"SYCL", "Metal"},
  };
  const auto is_word = [](char c) { return llvm::isAlnum(c) || c == '_'; };
  std::string text;
  for (size_t i = 0; i < message.size();) {
    bool replaced = false;
    if (i == 0 || !is_word(message[i - 1]))
      for (const auto& [from, to] : names)
        if (message.substr(i).starts_with(from) &&
            (i + from.size() == message.size() || !is_word(message[i + from.size()]))) {
          text += to;
          i += from.size();
          replaced = true;
          break;
        }
    if (!replaced)
      text += message[i++];
  }
  return text;
}

void DiagnosticCollector::HandleDiagnostic(clang::DiagnosticsEngine::Level level,
                                           const clang::Diagnostic& info) {
  DiagnosticConsumer::HandleDiagnostic(level, info);
  Diagnostic diagnostic;
  switch (level) {
  case clang::DiagnosticsEngine::Ignored:
  case clang::DiagnosticsEngine::Remark:
    last_ignored_ = true;
    return;
  case clang::DiagnosticsEngine::Note:
    if (last_ignored_)
      return;
    diagnostic.severity = Severity::note;
    break;
  case clang::DiagnosticsEngine::Warning:
    diagnostic.severity = Severity::warning;
    break;
  case clang::DiagnosticsEngine::Error:
  case clang::DiagnosticsEngine::Fatal:
    diagnostic.severity = Severity::error;
    break;
  }
  llvm::SmallString<128> message;
  info.FormatDiagnostic(message);
  diagnostic.message = in_metal_terms(message);
  diagnostic.file = file_name_;
  if (info.hasSourceManager() && info.getLocation().isValid()) {
    const clang::SourceManager& sources = info.getSourceManager();
    const clang::SourceLocation location = sources.getFileLoc(info.getLocation());
    const clang::PresumedLoc presumed = sources.getPresumedLoc(location);
    const bool in_library =
        presumed.isValid() && llvm::StringRef(presumed.getFilename()).starts_with("<metal>/");
    // A note that points into our standard library ("candidate function not viable") shows the user
    // code that is not theirs, and not Apple's either.
    if (in_library && level == clang::DiagnosticsEngine::Note)
      return;
    if (presumed.isValid() && !in_library) {
      diagnostic.file = presumed.getFilename();
      diagnostic.line = presumed.getLine();
      diagnostic.column = presumed.getColumn();
      const clang::FullSourceLoc place(location, sources);
      const llvm::StringRef buffer = sources.getBufferData(place.getFileID());
      const auto [file, offset] = sources.getDecomposedLoc(location);
      const size_t begin = buffer.rfind('\n', offset);
      const size_t start = begin == llvm::StringRef::npos || begin >= offset
                               ? (offset > 0 && buffer[offset - 1] == '\n' ? offset : 0)
                               : begin + 1;
      const llvm::StringRef line = buffer.substr(start).split('\n').first.rtrim('\r');
      diagnostic.source_line = line;
      if (options_)
        diagnostic.caret = caret_line(info, place, line, *options_);
    }
  }
  last_ignored_ = false;
  diagnostics_.push_back(std::move(diagnostic));
}

} // namespace metalwright::msl
