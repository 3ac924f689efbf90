// Refuses what would keep Clang's parser busy for ever.
#pragma once

#include <clang/Lex/Preprocessor.h>
#include <clang/Lex/Token.h>

#include <llvm/ADT/ArrayRef.h>

namespace metalwright::msl {

// Whether Clang's parser comes to an end in reasonable time. In `a<b<c<d` it looks
// ahead from each name, once for each of two questions or, if the names are templates, more often,
// and all look-aheads ask the same of the next name: n names take up to 2^(1.5 n) steps (40 ns
// each; 2 s for 17 of them, 16 s for 19). Nothing can interrupt it there, so the number of steps is
// counted beforehand. If it is too large, an error is reported where the limit is passed.
bool check_nesting(clang::Preprocessor& preprocessor, llvm::ArrayRef<clang::Token> tokens);

} // namespace metalwright::msl
