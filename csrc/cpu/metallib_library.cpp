// The kernels of a .metallib file, each read and compiled when it is asked for.
#include "cpu/metallib_library.h"

#include "air/entry_points.h"
#include "air/function_constants.h"
#include "air/intrinsics.h"
#include "air/metallib.h"
#include "air/verify.h"
#include "cpu/device.h"
#include "errors.h"
#include "simt/kernel_code.h"

#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/Support/MemoryBuffer.h>

#include <map>
#include <mutex>

namespace metalwright::cpu {

namespace {

llvm::StringRef as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::unique_ptr<llvm::MemoryBuffer> open_file(const std::string& path) {
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false);
  if (!file)
    throw Error(errors::no_such_file, path + ": " + file.getError().message());
  return std::move(*file);
}

std::vector<air::MetallibFunction> kernels_of(const llvm::MemoryBuffer& file) {
  const llvm::StringRef content = file.getBuffer();
  std::vector<air::MetallibFunction> functions =
      air::read_metallib({reinterpret_cast<const std::byte*>(content.data()), content.size()});
  // Vertex, fragment and the others are not for a compute device.
  std::erase_if(functions, [](const air::MetallibFunction& function) {
    return function.kind != air::FunctionKind::kernel;
  });
  return functions;
}

class MetallibLibrary final : public Library {
 public:
  MetallibLibrary(std::unique_ptr<llvm::MemoryBuffer> file, const std::string& path)
      : file_(std::move(file)), path_(path) {
    for (air::MetallibFunction& function : kernels_of(*file_)) {
      names_.push_back(function.name);
      functions_.emplace(function.name, function.bitcode);
    }
  }

  std::vector<std::string> kernel_names() const override { return names_; }
  // Each kernel is a module of its own and has its own: describe() gives them.
  std::vector<FunctionConstant> function_constants() const override { return {}; }
  const std::vector<Diagnostic>& warnings() const override { return warnings_; }

  std::shared_ptr<Kernel> kernel(std::string_view name, const ConstantValues& constants) override {
    std::shared_ptr<Library> module;
    {
      const std::lock_guard lock(mutex_);
      std::shared_ptr<Library>& kept = modules_[std::string(name)];
      if (!kept)
        kept = cpu_library_from_module(parse(name));
      module = kept;
    }
    return module->kernel(name, constants);
  }

  KernelDescription describe(std::string_view name) override {
    const msl::CompiledModule parsed = parse(name);
    if (std::string violation = air::find_violation(*parsed.module); !violation.empty())
      throw Error(errors::invalid_air, "kernel '" + std::string(name) + "': " + violation);
    KernelDescription description;
    description.name = name;
    for (air::EntryPoint& entry : air::read_entry_points(*parsed.module)) {
      if (entry.name != name)
        continue;
      description.arguments = std::move(entry.arguments);
      description.max_total_threads_per_threadgroup = entry.max_total_threads_per_threadgroup;
    }
    for (air::FunctionConstantGlobal& global : air::read_function_constants(*parsed.module))
      description.function_constants.push_back(std::move(global.constant));
    return description;
  }

 private:
  msl::CompiledModule parse(std::string_view name) const {
    const auto found = functions_.find(name);
    if (found == functions_.end())
      throw Error(errors::no_such_kernel, "there is no kernel '" + std::string(name) + "' in " +
                                              path_ + ", which has " +
                                              std::to_string(names_.size()) + " kernels");
    msl::CompiledModule parsed;
    parsed.context = std::make_unique<llvm::LLVMContext>();
    auto module = llvm::parseBitcodeFile(
        llvm::MemoryBufferRef(as_text(found->second), found->first), *parsed.context);
    if (!module)
      throw Error(errors::invalid_air,
                  "kernel '" + found->first + "': " + llvm::toString(module.takeError()));
    parsed.module = std::move(*module);
    return parsed;
  }

  std::unique_ptr<llvm::MemoryBuffer> file_;
  std::string path_;
  std::vector<std::string> names_;
  std::map<std::string, std::span<const std::byte>, std::less<>> functions_;
  std::vector<Diagnostic> warnings_; // always none
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Library>, std::less<>> modules_;
};

} // namespace

std::shared_ptr<Library> open_metallib(const std::string& path) {
  return std::make_shared<MetallibLibrary>(open_file(path), path);
}

std::vector<IntrinsicUse> metallib_intrinsics(const std::string& path) {
  const std::unique_ptr<llvm::MemoryBuffer> file = open_file(path);
  std::map<std::string, IntrinsicUse> uses;
  for (const air::MetallibFunction& kernel : kernels_of(*file)) {
    llvm::LLVMContext context;
    auto module = llvm::getLazyBitcodeModule(
        llvm::MemoryBufferRef(as_text(kernel.bitcode), kernel.name), context);
    if (!module)
      throw Error(errors::invalid_air,
                  "kernel '" + kernel.name + "': " + llvm::toString(module.takeError()));
    for (const std::string& name : air::declared_intrinsics(**module)) {
      IntrinsicUse& use = uses[name];
      if (use.kernels++ == 0)
        use = {name, 1, kernel.name, simt::is_supported_intrinsic(name)};
    }
  }
  std::vector<IntrinsicUse> sorted;
  for (auto& [name, use] : uses)
    sorted.push_back(std::move(use));
  return sorted;
}

} // namespace metalwright::cpu
