// One translation unit in Clang, from source text to syntax tree, with the token rewriter in
// between.
#pragma once

#include "device.h"
#include "msl/diagnostics.h"

#include <clang/AST/ASTConsumer.h>
#include <clang/Frontend/CompilerInstance.h>
#include <llvm/ADT/IntrusiveRefCntPtr.h>
#include <llvm/Support/VirtualFileSystem.h>

#include <functional>
#include <memory>
#include <string>

namespace metalwright::msl {

// Where the standard library lives in the compiler's file system. Not a path that exists anywhere.
inline constexpr llvm::StringRef kLibraryFolder = "/<metal>/";

// A precompiled header: its path in the compiler's file system, and a file system that has it
// there. The latter is kept from one compilation to the next: making one reads the whole content.
using FileSystem = llvm::IntrusiveRefCntPtr<llvm::vfs::FileSystem>;
struct Precompiled {
  llvm::StringRef path;
  FileSystem files;
};
// `content` must live as long as the file system.
FileSystem file_system_of(llvm::StringRef path, llvm::StringRef content);
inline constexpr llvm::StringRef kLibraryPath = "/<metal>/metal_stdlib.pch";

class Session {
 public:
  // What is compiled: the standard library's own headers, the #include lines that a program begins
  // with (both in order to precompile them), or a program.
  enum class Kind { library, preamble, program };

  // `precompiled` are what this one builds on, each on the one before: none for the library.
  Session(Kind kind, const CompileOptions& options, std::initializer_list<Precompiled> precompiled);

  using MakeConsumer = std::function<std::unique_ptr<clang::ASTConsumer>(clang::CompilerInstance&)>;
  // Parses `source` and checks it; declarations go to what `make_consumer` returns once there is a
  // preprocessor. Returns false if there were errors.
  bool parse(llvm::StringRef source, const MakeConsumer& make_consumer);

  // Parses `source` to its precompiled form; empty if there were errors.
  std::string precompile(llvm::StringRef source, llvm::StringRef name);

  clang::CompilerInstance& compiler() { return compiler_; }
  DiagnosticCollector& diagnostics() { return collector_; }

 private:
  void language_options();
  void file_system(llvm::ArrayRef<Precompiled> precompiled);
  std::string predefined_macros() const;

  Kind kind_;
  CompileOptions options_;
  std::string builds_on_; // the path of the last precompiled file
  DiagnosticCollector collector_;
  clang::CompilerInstance compiler_;
};

// The precompiled form of the standard library; empty with errors in `diagnostics` if it does not
// compile.
std::string precompile_library(std::vector<Diagnostic>& diagnostics);

// The precompiled library that is built in or, if that was made by another version of Clang than
// the one that is loaded now, one made afresh (once per process, a fraction of a second).
// Its path is empty if that failed.
Precompiled precompiled_library();

} // namespace metalwright::msl
