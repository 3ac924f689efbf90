// Refuses what would keep Clang's parser busy for ever.
#pragma once

#include <clang/Lex/Preprocessor.h>
#include <clang/Lex/Token.h>

#include <llvm/ADT/ArrayRef.h>

namespace metalwright::msl {

// Whether Clang's parser comes to an end in reasonable time. In `a<b<c<d`, with names that are not
// declared, it looks ahead from each name twice, once for each of two questions, and both
// look-aheads ask the same of the next name: n names take 2^n steps (1.5 us each; 0.4 s for 18 of
// them, a day for 36). Nothing can interrupt it there, so the number of steps is counted
// beforehand. If it is too large, an error is reported where the limit is passed.
bool check_nesting(clang::Preprocessor& preprocessor, llvm::ArrayRef<clang::Token> tokens);

} // namespace metalwright::msl
