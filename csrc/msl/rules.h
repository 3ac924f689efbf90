// Metal's rules that C++ does not have, checked on the syntax tree.
#pragma once

#include <clang/Lex/Token.h>
#include <clang/Sema/Sema.h>
#include <llvm/ADT/ArrayRef.h>

namespace metalwright::msl {

// Requires: `tokens` as the preprocessor left them, before they were rewritten, and `declarations`
// from the program (not from a precompiled header), instantiations of the library's templates
// included. Guarantees: every violation is reported to the diagnostics engine of `sema`, each place
// once.
void check_rules(clang::Sema& sema, llvm::ArrayRef<clang::Token> tokens,
                 llvm::ArrayRef<clang::Decl*> declarations);

} // namespace metalwright::msl
