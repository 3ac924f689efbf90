// What the classes of device.h do unless a device knows better; how diagnostics print.
#include "device.h"

#include "errors.h"

namespace metalwright {

static const char* to_string(Severity severity) {
  switch (severity) {
  case Severity::note:
    return "note";
  case Severity::warning:
    return "warning";
  case Severity::error:
    return "error";
  }
  return "error";
}

std::string to_string(const Diagnostic& diagnostic) {
  std::string text = diagnostic.file;
  if (diagnostic.line != 0)
    text += ":" + std::to_string(diagnostic.line) + ":" + std::to_string(diagnostic.column);
  if (!text.empty())
    text.append(": ");
  text.append(to_string(diagnostic.severity)).append(": ").append(diagnostic.message);
  if (!diagnostic.caret.empty())
    text.append("\n").append(diagnostic.source_line).append("\n").append(diagnostic.caret);
  return text;
}

std::string to_string(std::span<const Diagnostic> diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics)
    text += to_string(diagnostic) + "\n";
  return text;
}

CompileError::CompileError(std::vector<Diagnostic> diagnostics)
    : Error("compile-error", to_string(diagnostics)), diagnostics_(std::move(diagnostics)) {}

KernelDescription Library::describe(std::string_view name) {
  const std::shared_ptr<Kernel> made = kernel(name);
  return {made->name(), made->arguments(), function_constants(),
          made->max_threads_per_threadgroup()};
}

std::shared_ptr<Library> Device::load_metallib(const std::string& path) {
  throw Error(errors::not_supported,
              "the device '" + info().kind + "' does not load .metallib files yet (" + path + ")");
}

} // namespace metalwright
