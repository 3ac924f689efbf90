// The standard library's text and its precompiled form, as they are built into the extension.
#pragma once

#include <llvm/ADT/ArrayRef.h>
#include <llvm/ADT/StringRef.h>

#include <utility>

namespace metalwright::msl {

struct Resources {
  // File name and text of every header in csrc/msl/stdlib.
  llvm::ArrayRef<std::pair<llvm::StringRef, llvm::StringRef>> headers;
  // What precompile() made of them when the extension was built; empty in the tool that builds it.
  llvm::StringRef precompiled;
  // The version of Clang that made it; another version cannot read it.
  llvm::StringRef clang_version;
};

const Resources& resources();

} // namespace metalwright::msl
