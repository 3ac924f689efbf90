// A compiled library, and its kernels, made when they are asked for.
#pragma once

#import <Metal/Metal.h>

#include "metal/context.h"
#include "metal/signature.h"

#include <map>
#include <mutex>
#include <utility>

namespace metalwright::metal {

class MetalLibrary final : public Library {
 public:
  // Compiles. Called in a pool. Throws CompileError, Error("unsupported-language-version").
  MetalLibrary(std::shared_ptr<Context> context, std::string source, CompileOptions options);
  ~MetalLibrary() override;

  std::vector<std::string> kernel_names() const override { return names_; }
  std::vector<FunctionConstant> function_constants() const override { return constants_; }
  const std::vector<Diagnostic>& warnings() const override { return warnings_; }
  std::shared_ptr<Kernel> kernel(std::string_view name, const ConstantValues& constants) override;

 private:
  using Key = std::pair<std::string, std::string>; // name, constants as text

  std::shared_ptr<Kernel> make_kernel(const std::string& name, const ConstantValues& constants,
                                      const std::string& constants_text);
  // Throws CompileError for the error of a failed compilation.
  [[noreturn]] void fail(NSError* error) const;

  std::shared_ptr<Context> context_;
  std::shared_ptr<const std::string> source_; // as given to Metal, with the user's includes in it
  CompileOptions options_;
  Owned<id<MTLLibrary>> library_;
  std::vector<std::string> names_;
  std::map<std::string, std::vector<FunctionConstant>, std::less<>> constants_of_; // by kernel
  std::vector<FunctionConstant> constants_;                                        // of all
  std::vector<Diagnostic> warnings_;
  Signatures signatures_;
  std::mutex mutex_;
  std::map<Key, std::shared_ptr<Kernel>> kernels_;
};

} // namespace metalwright::metal
