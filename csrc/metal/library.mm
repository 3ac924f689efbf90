// A compiled library, and its kernels.
#include "metal/library.h"

#include "metal/compile_options.h"
#include "metal/diagnostics.h"
#include "metal/failures.h"
#include "metal/function_constants.h"
#include "metal/guarded.h"
#include "metal/includes.h"
#include "metal/kernel.h"
#include "metal/pipeline.h"

#include <algorithm>
#include <cstdio>

namespace metalwright::metal {

namespace {

// The same text for the same values, and only for them.
std::string constants_text(const ConstantValues& constants) {
  std::string text;
  for (const auto& [name, value] : constants) {
    text += name + "=";
    for (const ConstantNumber& number : value.elements) {
      if (const auto* boolean = std::get_if<bool>(&number)) {
        text += *boolean ? "true" : "false";
      } else if (const auto* integer = std::get_if<std::int64_t>(&number)) {
        text += std::to_string(*integer);
      } else {
        char digits[40];
        std::snprintf(digits, sizeof digits, "%a", std::get<double>(number));
        text += digits;
      }
      text += ',';
    }
    text += ';';
  }
  return text;
}

} // namespace

MetalLibrary::MetalLibrary(std::shared_ptr<Context> context, std::string source,
                           CompileOptions options)
    : context_(std::move(context)), source_(std::make_shared<const std::string>(std::move(source))),
      options_(std::move(options)), signatures_(*source_) {
  const auto made = make_compile_options(options_, context_->os, warnings_);
  NSError* error = nil;
  library_ = Owned<id<MTLLibrary>>::adopt([context_->device.get()
      newLibraryWithSource:to_objc(*source_).get()
                   options:made.get()
                     error:&error]);
  // Warnings set the error too: only a missing library is a failure.
  if (!library_)
    fail(error);
  if (error)
    for (Diagnostic& diagnostic : parse_diagnostics(describe_error(error), options_.file_name))
      warnings_.push_back(std::move(diagnostic));
  for (NSString* name in [library_.get() functionNames]) {
    const auto function = Owned<id<MTLFunction>>::adopt([library_.get() newFunctionWithName:name]);
    if (function && [function.get() functionType] != MTLFunctionTypeKernel)
      continue;
    names_.push_back(from_objc(name));
    if (!function)
      continue;
    std::vector<FunctionConstant> own = read_function_constants(function.get());
    for (const FunctionConstant& constant : own)
      if (std::ranges::find(constants_, constant.index, &FunctionConstant::index) ==
          constants_.end())
        constants_.push_back(constant);
    constants_of_.emplace(names_.back(), std::move(own));
  }
  std::ranges::sort(constants_, {}, &FunctionConstant::index);
}

MetalLibrary::~MetalLibrary() {
  @autoreleasepool {
    kernels_.clear();
    library_ = {};
  }
}

void MetalLibrary::fail(NSError* error) const {
  const std::string text = describe_error(error);
  std::vector<Diagnostic> diagnostics = parse_diagnostics(text, options_.file_name);
  if (std::ranges::none_of(diagnostics, [](const Diagnostic& diagnostic) {
        return diagnostic.severity == Severity::error;
      })) {
    Diagnostic whole; // nothing that looks like a compiler's message: all of it is the message
    whole.file = options_.file_name;
    whole.message = text;
    diagnostics.push_back(std::move(whole));
  }
  throw CompileError(std::move(diagnostics));
}

std::shared_ptr<Kernel> MetalLibrary::kernel(std::string_view name,
                                             const ConstantValues& constants) {
  const std::string text = constants_text(constants);
  const Key key{std::string(name), text};
  const std::lock_guard lock(mutex_);
  if (const auto found = kernels_.find(key); found != kernels_.end())
    return found->second;
  auto kernel = in_pool([&] { return make_kernel(key.first, constants, text); });
  kernels_.emplace(key, kernel);
  return kernel;
}

std::shared_ptr<Kernel> MetalLibrary::make_kernel(const std::string& name,
                                                  const ConstantValues& constants,
                                                  const std::string& constants_text) {
  if (std::ranges::find(names_, name) == names_.end()) {
    std::string known;
    for (const std::string& other : names_)
      if (known.size() < 400)
        known += (known.empty() ? "" : ", ") + other;
    throw Error(errors::no_such_kernel,
                "there is no kernel '" + name + "' in this library; " +
                    (known.empty() ? "it has none" : "there are: " + known));
  }
  const auto own = constants_of_.find(name);
  const auto values = make_constant_values(
      name, constants_, own == constants_of_.end() ? constants_ : own->second, constants);
  const auto objc_name = to_objc(name);
  Owned<id<MTLFunction>> function;
  if (own != constants_of_.end() && own->second.empty()) {
    function = Owned<id<MTLFunction>>::adopt([library_.get() newFunctionWithName:objc_name.get()]);
  } else {
    NSError* error = nil; // compiles again
    function = Owned<id<MTLFunction>>::adopt([library_.get() newFunctionWithName:objc_name.get()
                                                                  constantValues:values.get()
                                                                           error:&error]);
    if (!function)
      fail(error);
  }
  const std::string facts = "1\n" + context_->info.name + "\n" + context_->info.architecture +
                            "\n" + context_->os.text + "\n" + describe_options(options_) + "\n" +
                            name + "\n" + constants_text + "\n" + *source_;
  return std::make_shared<MetalKernel>(
      context_, make_pipeline(*context_, function.get(), name, &signatures_, facts), name, source_,
      describe_options(options_));
}

} // namespace metalwright::metal
