// Compile options, and what they mean to the compiler behind the stand-in.
#import "compile_options.h"

using namespace metal_standin;

static void needs_macos_15(const char* property) {
  if (!macos_at_least(15))
    stop("unavailable-api", @"MTLCompileOptions.%s does not exist before macOS 15", property);
}

@implementation MTLCompileOptions
METAL_STANDIN_COUNTED
@synthesize preprocessorMacros = _preprocessorMacros;
@synthesize languageVersion = _languageVersion;
@synthesize libraryType = _libraryType;
@synthesize installName = _installName;
@synthesize preserveInvariance = _preserveInvariance;
@synthesize optimizationLevel = _optimizationLevel;
@synthesize allowReferencingUndefinedSymbols = _allowReferencingUndefinedSymbols;
@synthesize maxTotalThreadsPerThreadgroup = _maxTotalThreadsPerThreadgroup;

- (id)init {
  if ((self = [super init])) {
    _fastMathEnabled = YES;
    _mathMode = MTLMathModeRelaxed;
    _mathFloatingPointFunctions = MTLMathFloatingPointFunctionsFast;
    _languageVersion = newest_language_version();
  }
  return self;
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_preprocessorMacros release];
  [_installName release];
  [super dealloc];
}
- (id)copyWithZone:(NSZone*)zone {
  MTLCompileOptions* copy = [[MTLCompileOptions allocWithZone:zone] init];
  copy.preprocessorMacros = _preprocessorMacros;
  copy->_fastMathEnabled = _fastMathEnabled;
  copy->_mathMode = _mathMode;
  copy->_mathFloatingPointFunctions = _mathFloatingPointFunctions;
  copy->_languageVersion = _languageVersion;
  copy->_libraryType = _libraryType;
  copy.installName = _installName;
  copy->_preserveInvariance = _preserveInvariance;
  copy->_optimizationLevel = _optimizationLevel;
  copy->_allowReferencingUndefinedSymbols = _allowReferencingUndefinedSymbols;
  copy->_maxTotalThreadsPerThreadgroup = _maxTotalThreadsPerThreadgroup;
  copy->_enableLogging = _enableLogging;
  return copy;
}

- (BOOL)fastMathEnabled {
  return _fastMathEnabled;
}
- (void)setFastMathEnabled:(BOOL)enabled {
  _fastMathEnabled = enabled;
  _mathMode = enabled ? MTLMathModeFast : MTLMathModeSafe;
  _mathFloatingPointFunctions =
      enabled ? MTLMathFloatingPointFunctionsFast : MTLMathFloatingPointFunctionsPrecise;
}
- (MTLMathMode)mathMode {
  needs_macos_15("mathMode");
  return _mathMode;
}
- (void)setMathMode:(MTLMathMode)mode {
  needs_macos_15("mathMode");
  _mathMode = mode;
}
- (MTLMathFloatingPointFunctions)mathFloatingPointFunctions {
  needs_macos_15("mathFloatingPointFunctions");
  return _mathFloatingPointFunctions;
}
- (void)setMathFloatingPointFunctions:(MTLMathFloatingPointFunctions)functions {
  needs_macos_15("mathFloatingPointFunctions");
  _mathFloatingPointFunctions = functions;
}
- (BOOL)enableLogging {
  needs_macos_15("enableLogging");
  return _enableLogging;
}
- (void)setEnableLogging:(BOOL)enable {
  needs_macos_15("enableLogging");
  _enableLogging = enable;
}

- (metalwright::CompileOptions)forBackend {
  metalwright::CompileOptions options;
  options.math_mode = _mathMode == MTLMathModeSafe      ? metalwright::MathMode::safe
                      : _mathMode == MTLMathModeRelaxed ? metalwright::MathMode::relaxed
                                                        : metalwright::MathMode::fast;
  options.math_functions = _mathFloatingPointFunctions == MTLMathFloatingPointFunctionsPrecise
                               ? metalwright::MathFunctions::precise
                               : metalwright::MathFunctions::fast;
  options.language_version = std::uint32_t(_languageVersion);
  NSArray* names = [[_preprocessorMacros allKeys] sortedArrayUsingSelector:@selector(compare:)];
  for (NSString* name in names) {
    id value = [_preprocessorMacros objectForKey:name];
    NSString* text = [value isKindOfClass:[NSNumber class]] ? [value stringValue] : value;
    if (![text isKindOfClass:[NSString class]])
      stop("preprocessor-macro", @"the value of macro %@ is neither NSString nor NSNumber", name);
    options.macros.emplace_back(utf8(name), utf8(text));
  }
  return options;
}
@end

namespace metal_standin {
MTLLanguageVersion newest_language_version() {
  return macos_at_least(26)   ? MTLLanguageVersion4_0
         : macos_at_least(15) ? MTLLanguageVersion3_2
                              : MTLLanguageVersion3_1;
}
} // namespace metal_standin
