// CompileOptions as Metal takes them, every one of them set.
#include "metal/compile_options.h"

namespace metalwright::metal {

namespace {

MathFunctions functions_of(const CompileOptions& options) {
  return options.math_functions.value_or(
      options.math_mode == MathMode::safe ? MathFunctions::precise : MathFunctions::fast);
}

// On Apple silicon the defaults are relaxed math and fast functions: nothing is left to them.
void set_math(MTLCompileOptions* made, const CompileOptions& options,
              std::vector<Diagnostic>& warnings) {
  const MathFunctions functions = functions_of(options);
  if (@available(macOS 15.0, *)) {
    made.mathMode = options.math_mode == MathMode::safe      ? MTLMathModeSafe
                    : options.math_mode == MathMode::relaxed ? MTLMathModeRelaxed
                                                             : MTLMathModeFast;
    made.mathFloatingPointFunctions = functions == MathFunctions::precise
                                          ? MTLMathFloatingPointFunctionsPrecise
                                          : MTLMathFloatingPointFunctionsFast;
  } else {
    const bool fast = options.math_mode == MathMode::fast && functions == MathFunctions::fast;
    const bool safe = options.math_mode == MathMode::safe && functions == MathFunctions::precise;
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations" // built for macOS 15, never reached
    made.fastMathEnabled = fast ? YES : NO;
#pragma clang diagnostic pop
    if (!fast && !safe) {
      Diagnostic warning;
      warning.severity = Severity::warning;
      warning.file = options.file_name;
      warning.message = "before macOS 15 Metal has only fast math with fast functions and safe "
                        "math with precise ones: compiled as the latter";
      warnings.push_back(std::move(warning));
    }
  }
}

} // namespace

Owned<MTLCompileOptions*> make_compile_options(const CompileOptions& options, const OsVersion& os,
                                               std::vector<Diagnostic>& warnings) {
  const std::uint32_t newest = newest_language_version(os);
  if (options.language_version > newest)
    throw Error(errors::unsupported_language_version,
                "macOS " + std::to_string(os.major) + " compiles Metal up to version " +
                    language_version_text(newest) + ", not " +
                    language_version_text(options.language_version) +
                    ": ask for language_version='" + language_version_text(newest) + "' or older");
  auto made = Owned<MTLCompileOptions*>::adopt([[MTLCompileOptions alloc] init]);
  made.get().languageVersion = static_cast<MTLLanguageVersion>(options.language_version);
  set_math(made.get(), options, warnings);
  made.get().libraryType = MTLLibraryTypeExecutable;
  made.get().optimizationLevel = MTLLibraryOptimizationLevelDefault;
  made.get().preserveInvariance = NO;
  NSMutableDictionary<NSString*, NSObject*>* const macros =
      [NSMutableDictionary dictionaryWithCapacity:options.macros.size()];
  for (const auto& [name, value] : options.macros)
    [macros setObject:to_objc(value).get() forKey:to_objc(name).get()];
  made.get().preprocessorMacros = macros;
  return made;
}

std::string describe_options(const CompileOptions& options) {
  std::string text = "msl " + language_version_text(options.language_version) + ", ";
  text += options.math_mode == MathMode::safe      ? "safe"
          : options.math_mode == MathMode::relaxed ? "relaxed"
                                                   : "fast";
  text += functions_of(options) == MathFunctions::precise ? " math with precise functions"
                                                          : " math with fast functions";
  for (const auto& [name, value] : options.macros)
    text.append(", ").append(name).append("=").append(value);
  return text;
}

} // namespace metalwright::metal
