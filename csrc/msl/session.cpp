// One translation unit in Clang, from source text to syntax tree, with the token rewriter in
// between.
#include "msl/session.h"

#include "msl/clang_attributes.h"
#include "msl/include_folders.h"
#include "msl/nesting.h"
#include "msl/resources.h"
#include "msl/rules.h"
#include "msl/target.h"
#include "msl/tokens.h"

#include <clang/AST/ASTContext.h>
#include <clang/Basic/LangStandard.h>
#include <clang/Basic/Version.h>
#include <clang/Lex/HeaderSearchOptions.h>
#include <clang/Lex/Pragma.h>
#include <clang/Lex/Preprocessor.h>
#include <clang/Lex/PreprocessorOptions.h>
#include <clang/Parse/Parser.h>
#include <clang/Sema/EnterExpressionEvaluationContext.h>
#include <clang/Sema/Sema.h>
#include <clang/Serialization/ASTWriter.h>
#include <clang/Serialization/InMemoryModuleCache.h>

namespace metalwright::msl {
namespace {

// The names that a program may #include. All of them are in the precompiled library already.
constexpr const char* kStandardHeaders[] = {
    "metal_stdlib",
    "metal_algorithm",
    "metal_array",
    "metal_atomic",
    "metal_bitwise",
    "metal_command_buffer",
    "metal_common",
    "metal_compute",
    "metal_config",
    "metal_curves",
    "metal_compute_info",
    "metal_extended_vector",
    "metal_geometric",
    "metal_graphics",
    "metal_half",
    "metal_imageblocks",
    "metal_initializer_list",
    "metal_integer",
    "metal_iterator",
    "metal_limits",
    "metal_logging",
    "metal_math",
    "metal_matrix",
    "metal_mesh",
    "metal_numeric",
    "metal_pack",
    "metal_packed",
    "metal_pull_model",
    "metal_quadgroup",
    "metal_raytracing",
    "metal_relational",
    "metal_simdgroup",
    "metal_simdgroup_future",
    "metal_simdgroup_matrix",
    "metal_texture",
    "metal_tessellation",
    "metal_tuple",
    "metal_type_traits",
    "metal_types",
    "metal_uniform",
    "metal_utility",
    "metal_vector",
    "metal_visible_function_table",
    "metal_numbers",
    "simd/simd.h",
};

// Those that are not in the precompiled library, and which of its headers each
// is.
constexpr std::pair<const char*, const char*> kSeparateHeaders[] = {
    {"metal_tensor", "metal_tensor.h"},
    {"metal_cooperative_tensor", "metal_cooperative_tensor.h"},
    {"MetalPerformancePrimitives/MetalPerformancePrimitives.h", "metal_matmul2d.h"},
    {"MetalPerformancePrimitives/MPPTensorOpsMatMul2d.h", "metal_matmul2d.h"},
};

// A private member that nothing else empties. An explicit instantiation may name it.
using DeferredDeclarations = llvm::SmallSetVector<clang::Decl*, 4>;
template <auto Member> struct DeferredDeclarationsAccess {
  friend DeferredDeclarations& deferred_declarations(clang::Sema& sema) { return sema.*Member; }
};
DeferredDeclarations& deferred_declarations(clang::Sema& sema);
template struct DeferredDeclarationsAccess<&clang::Sema::DeclsToCheckForDeferredDiags>;

// `#pragma METAL fp contract(off)` is `#pragma STDC FP_CONTRACT OFF` by another name. What else is
// written behind METAL has no effect on compute kernels.
class MetalPragma final : public clang::PragmaHandler {
 public:
  MetalPragma() : PragmaHandler("METAL") {}

  void HandlePragma(clang::Preprocessor& preprocessor, clang::PragmaIntroducer introducer,
                    clang::Token&) override {
    std::vector<std::string> words;
    clang::Token token;
    for (preprocessor.Lex(token); token.isNot(clang::tok::eod); preprocessor.Lex(token))
      words.push_back(preprocessor.getSpelling(token));
    if (words.size() < 5 || words[0] != "fp" || words[1] != "contract")
      return;
    clang::tok::OnOffSwitch value;
    if (words[3] == "off")
      value = clang::tok::OOS_OFF;
    else if (words[3] == "on" || words[3] == "fast")
      value = clang::tok::OOS_ON;
    else
      return;
    auto annotation = std::make_unique<clang::Token[]>(1);
    annotation[0].startToken();
    annotation[0].setKind(clang::tok::annot_pragma_fp_contract);
    annotation[0].setLocation(introducer.Loc);
    annotation[0].setAnnotationEndLoc(introducer.Loc);
    annotation[0].setAnnotationValue(reinterpret_cast<void*>(static_cast<std::uintptr_t>(value)));
    preprocessor.EnterTokenStream(std::move(annotation), 1, /*DisableMacroExpansion=*/true,
                                  /*IsReinject=*/false);
  }
};

// One compilation's view of files that all compilations share, on whatever thread: adding a file
// system to an overlay sets its working directory, a string of the file system's own, so the shared
// one must never see that call. The paths of what is shared are absolute.
class SharedFiles final : public llvm::vfs::ProxyFileSystem {
 public:
  using ProxyFileSystem::ProxyFileSystem;
  std::error_code setCurrentWorkingDirectory(const llvm::Twine&) override { return {}; }
};

// The headers of the standard library, and the empty files that programs include.
FileSystem library_headers() {
  llvm::IntrusiveRefCntPtr<llvm::vfs::InMemoryFileSystem> files(
      new llvm::vfs::InMemoryFileSystem());
  for (const auto& [name, content] : resources().headers)
    files->addFile((kLibraryFolder + "library/" + name).str(), 0,
                   llvm::MemoryBuffer::getMemBuffer(content, name));
  for (const char* name : kStandardHeaders)
    files->addFile((kLibraryFolder + "include/" + name).str(), 0,
                   llvm::MemoryBuffer::getMemBuffer("", name));
  for (const auto& [name, header] : kSeparateHeaders)
    files->addFile(
        (kLibraryFolder + "include/" + name).str(), 0,
        llvm::MemoryBuffer::getMemBufferCopy(
            ("#include \"" + kLibraryFolder + "library/" + header + "\"\n").str(), name));
  return files;
}

} // namespace

FileSystem file_system_of(llvm::StringRef path, llvm::StringRef content) {
  llvm::IntrusiveRefCntPtr<llvm::vfs::InMemoryFileSystem> files(
      new llvm::vfs::InMemoryFileSystem());
  files->addFile(path, 0, llvm::MemoryBuffer::getMemBuffer(content, path, false));
  return files;
}

Session::Session(Kind kind, const CompileOptions& options,
                 std::initializer_list<Precompiled> precompiled)
    : kind_(kind), options_(options), collector_(options.file_name) {
  register_clang_attributes();
  compiler_.setInvocation(std::make_shared<clang::CompilerInvocation>());
  language_options();
  clang::DiagnosticOptions& diagnostics = compiler_.getDiagnosticOpts();
  // Metal code is full of what these are about, and Apple does not warn of it.
  diagnostics.Warnings = {"no-unknown-pragmas", "no-duplicate-decl-specifier", "no-unused-value",
                          "no-c++17-extensions", "no-c++20-extensions", "no-c++23-extensions",
                          "no-gnu", "no-c99-extensions", "no-main", "no-builtin-macro-redefined",
                          "no-tautological-compare",
                          // What Apple warns of without being asked, by what people quote of it.
                          "unused-variable", "unused-const-variable", "unused-function",
                          "sign-compare", "uninitialized"};
  diagnostics.ErrorLimit = 20;
  compiler_.createDiagnostics(&collector_, /*ShouldOwnClient=*/false);
  compiler_.setTarget(create_air_target());
  // SYCL's device code asks the host's target how types are called in lambdas' names.
  compiler_.setAuxTarget(create_air_target());
  compiler_.getTarget().adjust(compiler_.getDiagnostics(), compiler_.getLangOpts());
  if (precompiled.size() != 0)
    builds_on_ = (precompiled.end() - 1)->path;
  file_system(llvm::ArrayRef(precompiled.begin(), precompiled.size()));
}

void Session::language_options() {
  clang::LangOptions& language = compiler_.getLangOpts();
  std::vector<std::string> includes;
  clang::LangOptions::setLangDefaults(language, clang::Language::CXX, llvm::Triple(kAirTriple),
                                      includes, clang::LangStandard::lang_gnucxx17);
  language.SYCLIsDevice = true; // for its address spaces: see target.cpp
  language.DeclSpecKeyword = true;
  language.NativeHalfType = true;
  language.NativeHalfArgsAndReturns = true;
  language.NoBuiltin = true;
  language.ConvergentFunctions = false; // the library marks those that are
  language.MathErrno = false;
  language.RTTI = false;
  language.RTTIData = false;
  language.ThreadsafeStatics = false;
  language.Exceptions = language.CXXExceptions = false;
  language.setDefaultFPContractMode(clang::LangOptions::FPM_On);
  if (options_.math_mode != MathMode::safe) {
    language.AllowFPReassoc = language.NoSignedZero = language.AllowRecip = true;
    language.ApproxFunc = true;
    language.setDefaultFPContractMode(clang::LangOptions::FPM_Fast);
  }
  if (options_.math_mode == MathMode::fast) {
    language.FastMath = language.UnsafeFPMath = true;
    language.NoHonorNaNs = language.NoHonorInfs = true;
  }

  clang::CodeGenOptions& code = compiler_.getCodeGenOpts();
  code.OptimizationLevel = 2;
  code.DisableLLVMPasses = true;
  code.DisableLifetimeMarkers = true;
  // Kernels read memory through pointers of other types all the time.
  code.RelaxedAliasing = true;
  // A loop that never ends is a mistake to be reported, not one to be optimised away.
  code.setFiniteLoops(clang::CodeGenOptions::FiniteLoopsKind::Never);
  code.UnrollLoops = code.VectorizeLoop = code.VectorizeSLP =
      true; // else loops are marked as not to be
  code.setInlining(clang::CodeGenOptions::OnlyAlwaysInlining);
  if (options_.check) {
    // Places for what is found, and scopes for what is undefined in them.
    code.setDebugInfo(llvm::codegenoptions::DebugLineTablesOnly);
    code.DebugColumnInfo = true;
    // Else what a file's path has in common with the process's folder is cut off its name.
    code.DebugCompilationDir = "/";
    code.DisableLifetimeMarkers = false;
  }
}

void Session::file_system(llvm::ArrayRef<Precompiled> precompiled) {
  llvm::IntrusiveRefCntPtr<llvm::vfs::OverlayFileSystem> files(
      new llvm::vfs::OverlayFileSystem(new IncludeFolders(options_.include_paths)));
  static const FileSystem headers = library_headers();
  files->pushOverlay(llvm::makeIntrusiveRefCnt<SharedFiles>(headers));
  for (const Precompiled& file : precompiled)
    files->pushOverlay(llvm::makeIntrusiveRefCnt<SharedFiles>(file.files));
  compiler_.createFileManager(files);
  compiler_.createSourceManager(compiler_.getFileManager());
  clang::HeaderSearchOptions& search = compiler_.getHeaderSearchOpts();
  search.UseBuiltinIncludes = false;
  search.UseStandardSystemIncludes = false;
  search.UseStandardCXXIncludes = false;
  const auto folder = [&](llvm::StringRef name) {
    search.AddPath((kLibraryFolder + name).str(), clang::frontend::System, false, true);
  };
  if (kind_ == Kind::library)
    folder("library");
  else
    folder("include");
  for (const std::string& path : options_.include_paths)
    search.AddPath(path, clang::frontend::System, false, true);
  clang::PreprocessorOptions& preprocessor = compiler_.getPreprocessorOpts();
  preprocessor.UsePredefines = false;
  preprocessor.DisablePCHOrModuleValidation = clang::DisableValidationForModuleKind::PCH;
}

std::string Session::predefined_macros() const {
  std::string text;
  const auto define = [&](llvm::StringRef name, llvm::StringRef value) {
    text += ("#define " + name + " " + value + "\n").str();
  };
  // Constants of the library (csrc/msl/stdlib) may not depend on what is defined below, because the
  // library is compiled once for all options.
  if (kind_ != Kind::library) {
    const unsigned major = options_.language_version >> 16;
    const unsigned minor = options_.language_version & 0xffff;
    define("__METAL_VERSION__", std::to_string(major * 100 + minor * 10));
    define("__METAL__", "1");
    define("__METAL_MACOS__", "1");
    define("__cplusplus", major >= 4 ? "201703L" : "201402L");
    if (major * 100 + minor * 10 >= 310)
      define("__HAVE_BFLOAT__", "1");
    define("__HAVE_SIMDGROUP_MATRIX__", "1");
    if (major >= 4)
      define("__HAVE_TENSOR__", "1");
    if (options_.math_mode == MathMode::fast)
      define("__FAST_MATH__", "1");
    for (const auto& [name, value] : options_.macros)
      define(name, value);
  } else {
    define("__cplusplus", "201703L");
  }
  return text;
}

bool Session::parse(llvm::StringRef source, const MakeConsumer& make_consumer) {
  clang::SourceManager& sources = compiler_.getSourceManager();
  sources.setMainFileID(
      sources.createFileID(llvm::MemoryBuffer::getMemBufferCopy(source, options_.file_name)));
  const clang::TranslationUnitKind unit =
      kind_ == Kind::program ? clang::TU_Complete : clang::TU_Prefix;
  compiler_.createPreprocessor(unit);
  clang::Preprocessor& preprocessor = compiler_.getPreprocessor();
  collector_.BeginSourceFile(compiler_.getLangOpts(), &preprocessor);
  compiler_.createASTContext();
  compiler_.setASTConsumer(make_consumer(compiler_));
  // Without it the definitions that this unit adds to templates of the library below get lost.
  compiler_.getASTContext().setASTMutationListener(
      compiler_.getASTConsumer().GetASTMutationListener());
  if (!builds_on_.empty()) {
    // What writes a precompiled header has to know what of the one below was read.
    compiler_.createPCHExternalASTSource(builds_on_, clang::DisableValidationForModuleKind::PCH,
                                         /*AllowPCHWithCompilerErrors=*/false,
                                         compiler_.getASTConsumer().GetASTDeserializationListener(),
                                         /*OwnDeserializationListener=*/false);
    if (!compiler_.getASTContext().getExternalSource())
      return false;
  } else {
    preprocessor.getBuiltinInfo().initializeBuiltins(preprocessor.getIdentifierTable(),
                                                     compiler_.getLangOpts());
  }
  preprocessor.setPredefines(predefined_macros());
  preprocessor.AddPragmaHandler(new MetalPragma());
  compiler_.createSema(unit, nullptr);

  clang::Sema& sema = compiler_.getSema();
  clang::ASTConsumer& sink = compiler_.getASTConsumer();
  clang::Parser parser(preprocessor, sema, /*SkipFunctionBodies=*/false);
  preprocessor.EnterMainSourceFile();
  if (clang::ExternalASTSource* external = sema.getASTContext().getExternalSource())
    external->StartTranslationUnit(&sink);
  // The parser exists already, so that its pragma handlers leave their annotations in the stream.
  std::vector<clang::Token> tokens;
  // A comment may be diagnosed (`//<`), and diagnostics ask what they are in.
  sema.CurContext = sema.getASTContext().getTranslationUnitDecl();
  do {
    tokens.emplace_back();
    preprocessor.Lex(tokens.back());
  } while (tokens.back().isNot(clang::tok::eof));
  sema.CurContext = nullptr; // the parser begins there itself
  const std::vector<clang::Token> written = tokens;
  tokens = rewrite_tokens(preprocessor, std::move(tokens), kind_ == Kind::library,
                          options_.language_version);
  if (!check_nesting(preprocessor, tokens))
    tokens.erase(tokens.begin(), tokens.end() - 1); // the parser sees an empty file
  preprocessor.EnterTokenStream(tokens, /*DisableMacroExpansion=*/true, /*IsReinject=*/false);

  parser.Initialize();
  {
    clang::EnterExpressionEvaluationContext evaluated(
        sema, clang::Sema::ExpressionEvaluationContext::PotentiallyEvaluated);
    clang::Parser::DeclGroupPtrTy group;
    clang::Sema::ModuleImportState imports;
    for (bool end = parser.ParseFirstTopLevelDecl(group, imports); !end;
         end = parser.ParseTopLevelDecl(group, imports))
      if (group)
        sink.HandleTopLevelDecl(group.get());
  }
  // SYCL's rules about device functions are not Metal's; the list of functions to check against
  // them would be read, with all of them, in every compilation on top of this one.
  deferred_declarations(sema).clear();
  if (kind_ != Kind::library && !compiler_.getDiagnostics().hasErrorOccurred()) {
    std::vector<clang::Decl*> declarations;
    for (clang::Decl* declaration : sema.getASTContext().getTranslationUnitDecl()->noload_decls())
      if (!declaration->isFromASTFile() && !declaration->isImplicit())
        declarations.push_back(declaration);
    check_rules(sema, written, declarations);
  }
  sink.HandleTranslationUnit(sema.getASTContext());
  return !compiler_.getDiagnostics().hasErrorOccurred();
}

std::string Session::precompile(llvm::StringRef source, llvm::StringRef name) {
  auto buffer = std::make_shared<clang::PCHBuffer>();
  const bool ok = parse(source, [&](clang::CompilerInstance& compiler) {
    auto generator = std::make_unique<clang::PCHGenerator>(
        compiler.getPreprocessor(), compiler.getModuleCache(), name, "", buffer,
        llvm::ArrayRef<std::shared_ptr<clang::ModuleFileExtension>>(),
        /*AllowASTWithErrors=*/false, /*IncludeTimestamps=*/false);
    return generator;
  });
  return ok && buffer->IsComplete ? std::string(buffer->Data.begin(), buffer->Data.end())
                                  : std::string();
}

std::string precompile_library(std::vector<Diagnostic>& diagnostics) {
  CompileOptions options;
  options.file_name = "metal_stdlib";
  Session session(Session::Kind::library, options, {});
  std::string precompiled = session.precompile("#include <metal_stdlib.h>\n", "metal_stdlib.pch");
  diagnostics = session.diagnostics().take();
  return precompiled;
}

Precompiled precompiled_library() {
  static const std::string fresh = [] {
    std::vector<Diagnostic> diagnostics;
    return resources().clang_version == clang::getClangFullRepositoryVersion()
               ? std::string()
               : precompile_library(diagnostics);
  }();
  static const Precompiled library = [] {
    const llvm::StringRef content = fresh.empty() ? resources().precompiled : fresh;
    const bool usable =
        !content.empty() &&
        (!fresh.empty() || resources().clang_version == clang::getClangFullRepositoryVersion());
    return usable ? Precompiled{kLibraryPath, file_system_of(kLibraryPath, content)}
                  : Precompiled{{}, FileSystem()};
  }();
  return library;
}

} // namespace metalwright::msl
