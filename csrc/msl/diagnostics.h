// Collects what Clang reports as structured diagnostics.
#pragma once

#include "device.h"

#include <clang/Basic/Diagnostic.h>
#include <clang/Basic/SourceManager.h>

namespace metalwright::msl {

class DiagnosticCollector final : public clang::DiagnosticConsumer {
 public:
  explicit DiagnosticCollector(std::string file_name) : file_name_(std::move(file_name)) {}

  void BeginSourceFile(const clang::LangOptions& options, const clang::Preprocessor*) override {
    options_ = &options;
  }
  void HandleDiagnostic(clang::DiagnosticsEngine::Level level,
                        const clang::Diagnostic& info) override;

  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }
  std::vector<Diagnostic> take() { return std::move(diagnostics_); }

 private:
  std::string file_name_;
  const clang::LangOptions* options_ = nullptr;
  std::vector<Diagnostic> diagnostics_;
  bool last_ignored_ = false; // so that the notes of an ignored diagnostic go with it
};

} // namespace metalwright::msl
