// What kernel.explain() says about single accesses and loops of the simdgroup engine's code.
#pragma once

#include <llvm/IR/DebugInfoMetadata.h>
#include <llvm/IR/Instruction.h>

#include <string>
#include <tuple>
#include <vector>

namespace metalwright::simt {

struct Remark {
  std::string file; // of the program, outside the standard library; line 0: not known
  unsigned line = 0;
  std::string text;

  auto operator<=>(const Remark&) const = default;
};
using Remarks = std::vector<Remark>;

// `text` about the place of an instruction: of inlined code, the innermost call that is the
// program's own.
inline Remark remark_at(const llvm::DebugLoc& place, std::string text) {
  Remark remark{{}, 0, std::move(text)};
  constexpr llvm::StringRef library = "/<metal>/"; // as csrc/msl/session.h has it
  for (const llvm::DILocation* at = place.get(); at; at = at->getInlinedAt()) {
    if (at->getLine() == 0 || at->getFilename().starts_with(library))
      continue;
    remark.file = at->getFilename().str();
    remark.line = at->getLine();
    break;
  }
  return remark;
}

} // namespace metalwright::simt
