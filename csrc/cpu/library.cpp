// Looks kernels up and keeps those that were compiled.
#include "cpu/library.h"

#include "air/function_constants.h"

namespace metalwright::cpu {

CpuLibrary::CpuLibrary(msl::CompiledModule module, bool observed,
                       std::optional<ProgramSource> source)
    : shared_(std::make_shared<SharedModule>()), observed_(observed),
      warnings_(std::move(module.warnings)) {
  shared_->context = std::move(module.context);
  shared_->module = std::move(module.module);
  shared_->source = std::move(source);
  for (const air::EntryPoint& entry : air::read_entry_points(*shared_->module))
    names_.push_back(entry.name);
  for (air::FunctionConstantGlobal& global : air::read_function_constants(*shared_->module))
    constants_.push_back(std::move(global.constant));
}

std::shared_ptr<Kernel> CpuLibrary::kernel(std::string_view name, const ConstantValues& constants) {
  const std::lock_guard lock(shared_->mutex);
  const std::pair key(engine_choice(), std::string(name));
  if (constants.empty())
    if (const auto found = plain_kernels_.find(key); found != plain_kernels_.end())
      return found->second;
  auto kernel = std::make_shared<CpuKernel>(shared_, key.second, constants, observed_);
  if (constants.empty())
    plain_kernels_.emplace(key, kernel);
  return kernel;
}

} // namespace metalwright::cpu
