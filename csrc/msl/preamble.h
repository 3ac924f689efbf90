// The #include lines that a program begins with, compiled once for all programs that begin alike.
#pragma once

#include "device.h"
#include "msl/session.h"

#include <memory>
#include <string>
#include <vector>

namespace metalwright::msl {

class Preamble {
 public:
  Preamble(std::string path, std::string content, size_t length)
      : path_(std::move(path)), content_(std::move(content)), length_(length),
        files_(file_system_of(path_, content_)) {}

  Precompiled precompiled() const { return {path_, files_}; }
  // The program with spaces in place of its preamble: places in the rest stay what they are.
  std::string without(const std::string& source) const;

 private:
  std::string path_;
  std::string content_;
  size_t length_;
  FileSystem files_; // of path_ and content_, which come first
};

// The preamble of `source`, compiled now or earlier by this process for the same options and
// unchanged files; null if there is none that is worth it (no includes beyond the standard library)
// or if it does not compile on its own or holds kernels, in which case the program itself is to be
// compiled as a whole, so that its diagnostics and its kernels are what they should be.
// Thread-safe.
std::shared_ptr<const Preamble> find_preamble(const std::string& source,
                                              const CompileOptions& options);

} // namespace metalwright::msl
