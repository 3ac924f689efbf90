// Refuses what would keep Clang's parser busy for ever.
#include "msl/nesting.h"

#include <clang/Basic/Diagnostic.h>

#include <algorithm>
#include <cstdint>

namespace metalwright::msl {
namespace {

// Chains of 16 names, or a hundred thousand of the usual three to five: seconds at the worst.
constexpr std::uint64_t kMaxSteps = std::uint64_t{1} << 25;

// What may stand between the `<` and the next name without ending the chain.
bool continues_chain(llvm::ArrayRef<clang::Token> tokens, size_t i) {
  return tokens[i].isOneOf(clang::tok::less, clang::tok::coloncolon, clang::tok::kw_typename,
                           clang::tok::kw_template, clang::tok::kw_const) ||
         (tokens[i].is(clang::tok::identifier) && tokens[i + 1].is(clang::tok::coloncolon));
}

} // namespace

bool check_nesting(clang::Preprocessor& preprocessor, llvm::ArrayRef<clang::Token> tokens) {
  std::uint64_t steps = 0;
  unsigned names = 0; // of the chain that the last tokens are
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (names != 0 && continues_chain(tokens, i))
      continue;
    if (tokens[i].isNot(clang::tok::identifier) || tokens[i + 1].isNot(clang::tok::less)) {
      names = 0;
      continue;
    }
    steps += std::uint64_t{1} << std::min(++names * 3 / 2, 32u);
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
