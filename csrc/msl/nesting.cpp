// Refuses what would keep Clang's parser busy for ever.
#include "msl/nesting.h"

#include <clang/Basic/Diagnostic.h>

#include <algorithm>
#include <cstdint>

namespace metalwright::msl {
namespace {

// Chains of 22 names, or a hundred thousand of the usual three to five: seconds at the worst.
constexpr std::uint64_t kMaxSteps = std::uint64_t{1} << 22;

} // namespace

bool check_nesting(clang::Preprocessor& preprocessor, llvm::ArrayRef<clang::Token> tokens) {
  std::uint64_t steps = 0;
  unsigned names = 0; // of the chain that the last tokens are
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (tokens[i].is(clang::tok::less) && names != 0)
      continue;
    if (tokens[i].isNot(clang::tok::identifier) || tokens[i + 1].isNot(clang::tok::less)) {
      names = 0;
      continue;
    }
    steps += std::uint64_t{1} << std::min(++names, 32u);
    if (steps <= kMaxSteps)
      continue;
    clang::DiagnosticsEngine& engine = preprocessor.getDiagnostics();
    engine.Report(tokens[i].getLocation(),
                  engine.getCustomDiagID(clang::DiagnosticsEngine::Error,
                                         "template argument lists are nested too deeply"));
    return false;
  }
  return true;
}

} // namespace metalwright::msl
