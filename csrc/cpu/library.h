// Kernels of one AIR module, compiled when they are asked for.
#pragma once

#include "cpu/kernel.h"
#include "device.h"
#include "msl/compiler.h"

#include <map>

namespace metalwright::cpu {

class CpuLibrary final : public Library {
 public:
  // Throws Error("invalid-air") if the module's metadata is not right.
  // `observed`: its kernels are for the sanitiser.
  // `source`: what it was compiled from, if it is known.
  explicit CpuLibrary(msl::CompiledModule module, bool observed = false,
                      std::optional<ProgramSource> source = std::nullopt);

  std::vector<std::string> kernel_names() const override { return names_; }
  std::vector<FunctionConstant> function_constants() const override { return constants_; }
  const std::vector<Diagnostic>& warnings() const override { return warnings_; }
  std::shared_ptr<Kernel> kernel(std::string_view name, const ConstantValues& constants) override;

 private:
  std::shared_ptr<SharedModule> shared_;
  bool observed_;
  std::vector<std::string> names_;
  std::vector<FunctionConstant> constants_;
  std::vector<Diagnostic> warnings_;
  // Without constants.
  std::map<std::pair<EngineChoice, std::string>, std::shared_ptr<Kernel>> plain_kernels_;
};

} // namespace metalwright::cpu
