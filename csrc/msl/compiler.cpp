// MSL source to a checked AIR module, in process.
#include "msl/compiler.h"

#include "msl/deep_stack.h"
#include "msl/entry_points.h"
#include "msl/lower.h"
#include "msl/preamble.h"
#include "msl/rules.h"
#include "msl/session.h"

#include <clang/AST/ASTContext.h>
#include <clang/AST/DeclGroup.h>
#include <clang/CodeGen/ModuleBuilder.h>
#include <clang/Sema/Sema.h>
#include <llvm/ADT/SetVector.h>

#include <algorithm>
#include <cctype>
#include <functional>

namespace metalwright::msl {
namespace {

// Keeps what the parser hands over until the checks are done, then replays it to the code
// generator, and forwards to it what is read from the precompiled library from then on.
class Recorder final : public clang::ASTConsumer {
 public:
  bool HandleTopLevelDecl(clang::DeclGroupRef group) override {
    for (clang::Decl* declaration : group) {
      auto* function = llvm::dyn_cast<clang::FunctionDecl>(declaration);
      if (!function ||
          function->getTemplateSpecializationKind() != clang::TSK_ExplicitInstantiationDefinition)
        continue;
      const clang::FunctionDecl* pattern = function->getTemplateInstantiationPattern();
      if (pattern && pattern->isFromASTFile())
        explicit_instantiations.insert(function);
    }
    run([group](clang::ASTConsumer& to) { to.HandleTopLevelDecl(group); });
    return true;
  }
  void HandleInterestingDecl(clang::DeclGroupRef group) override { HandleTopLevelDecl(group); }
  void HandleInlineFunctionDefinition(clang::FunctionDecl* function) override {
    run([function](clang::ASTConsumer& to) { to.HandleInlineFunctionDefinition(function); });
  }
  void HandleTagDeclDefinition(clang::TagDecl* type) override {
    run([type](clang::ASTConsumer& to) { to.HandleTagDeclDefinition(type); });
  }
  void HandleTagDeclRequiredDefinition(const clang::TagDecl* type) override {
    run([type](clang::ASTConsumer& to) { to.HandleTagDeclRequiredDefinition(type); });
  }
  void HandleCXXImplicitFunctionInstantiation(clang::FunctionDecl* function) override {
    const clang::FunctionDecl* pattern = function->getTemplateInstantiationPattern();
    if (pattern && pattern->isFromASTFile())
      instantiations.push_back(function);
    run([function](clang::ASTConsumer& to) {
      to.HandleCXXImplicitFunctionInstantiation(function);
    });
  }
  void HandleCXXStaticMemberVarInstantiation(clang::VarDecl* variable) override {
    run([variable](clang::ASTConsumer& to) { to.HandleCXXStaticMemberVarInstantiation(variable); });
  }

  // What this program made of templates that are in a precompiled header.
  std::vector<clang::Decl*> instantiations;
  // Those among them that the program asked for by name: its kernels are among them.
  llvm::SmallSetVector<clang::FunctionDecl*, 8> explicit_instantiations;

  void replay(clang::ASTConsumer& target) {
    target_ = &target;
    // Replaying reads from the precompiled library, which may append.
    for (size_t i = 0; i < events_.size(); ++i)
      events_[i](target);
    events_.clear();
  }

 private:
  using Event = std::function<void(clang::ASTConsumer&)>;
  void run(Event event) {
    if (target_)
      event(*target_);
    else
      events_.push_back(std::move(event));
  }
  std::vector<Event> events_;
  clang::ASTConsumer* target_ = nullptr;
};

struct Outcome {
  CompiledModule compiled;
  std::vector<Diagnostic> diagnostics;
};

Outcome compile_here(const std::string& source, const CompileOptions& options,
                     const Precompiled& library, Places places) {
  Outcome outcome;
  std::string problem;
  const std::shared_ptr<const Preamble> preamble = find_preamble(source, options);
  Session session =
      preamble ? Session(Session::Kind::program, options, {library, preamble->precompiled()})
               : Session(Session::Kind::program, options, {library});
  Recorder* recorder = nullptr;
  bool ok = session.parse(preamble ? preamble->without(source) : source,
                          [&recorder](clang::CompilerInstance&) {
                            auto made = std::make_unique<Recorder>();
                            recorder = made.get();
                            return made;
                          });
  clang::CompilerInstance& compiler = session.compiler();
  if (ok) {
    check_rules(compiler.getSema(), {}, recorder->instantiations);
    const EntryPoints entry_points =
        find_entry_points(compiler.getSema(), recorder->explicit_instantiations.getArrayRef());
    ok = !compiler.getDiagnostics().hasErrorOccurred();
    if (ok) {
      // SYCL is the source of the address spaces, not of any rule of code generation.
      compiler.getLangOpts().SYCLIsDevice = false;
      if (places == Places::kept) {
        clang::CodeGenOptions& code = compiler.getCodeGenOpts();
        code.setDebugInfo(llvm::codegenoptions::DebugLineTablesOnly);
        code.DebugColumnInfo = true;
        code.DebugCompilationDir = "/"; // as in session.cpp
      }
      outcome.compiled.context = std::make_unique<llvm::LLVMContext>();
      const std::unique_ptr<clang::CodeGenerator> generator(clang::CreateLLVMCodeGen(
          compiler.getDiagnostics(), options.file_name, &compiler.getVirtualFileSystem(),
          compiler.getHeaderSearchOpts(), compiler.getPreprocessorOpts(), compiler.getCodeGenOpts(),
          *outcome.compiled.context));
      generator->Initialize(compiler.getASTContext());
      recorder->replay(*generator);
      generator->HandleTranslationUnit(compiler.getASTContext());
      if (!compiler.getDiagnostics().hasErrorOccurred() && generator->GetModule()) {
        problem = lower_to_air(*generator->GetModule(), *generator, entry_points, options);
        outcome.compiled.module.reset(generator->ReleaseModule());
      }
    }
  }
  outcome.diagnostics = session.diagnostics().take();
  if (!problem.empty())
    outcome.diagnostics.push_back({Severity::error, options.file_name, 0, 0, problem, "", ""});
  return outcome;
}

// The options come from the user as well.
void check(const CompileOptions& options) {
  const unsigned major = options.language_version >> 16;
  const unsigned minor = options.language_version & 0xffff;
  const bool known =
      (major == 2 && minor == 4) || (major == 3 && minor <= 2) || (major == 4 && minor == 0);
  if (!known)
    throw Error("unknown-language-version",
                "there is no Metal language version " + std::to_string(major) + "." +
                    std::to_string(minor) + "; use 2.4, 3.0, 3.1, 3.2 or 4.0");
  for (const auto& [name, value] : options.macros) {
    const bool identifier =
        !name.empty() && (std::isalpha(static_cast<unsigned char>(name[0])) || name[0] == '_');
    const size_t end = std::min(name.find('('), name.size());
    const bool rest = std::all_of(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(end),
                                  [](unsigned char c) { return std::isalnum(c) || c == '_'; });
    if (!identifier || !rest || (name + value).find_first_of("\n\r") != std::string::npos)
      throw Error("bad-macro", "'" + name +
                                   "' cannot be defined as a preprocessor macro: a name "
                                   "is an identifier, and a value is one line");
  }
}

} // namespace

CompiledModule compile(std::string_view source, const CompileOptions& options, Places places) {
  check(options);
  const std::string text(source);
  Outcome outcome;
  bool has_library = false;
  run_on_deep_stack([&] {
    const Precompiled library = precompiled_library();
    has_library = !library.path.empty();
    if (has_library)
      outcome = compile_here(text, options, library, places);
  });
  if (!has_library)
    throw Error("broken-installation", "the Metal standard library could not be loaded");
  for (const Diagnostic& diagnostic : outcome.diagnostics)
    if (diagnostic.severity == Severity::error)
      throw CompileError(std::move(outcome.diagnostics));
  if (!outcome.compiled.module)
    throw CompileError({{Severity::error, options.file_name, 0, 0,
                         "the compiler produced no code and gave no reason", "", ""}});
  outcome.compiled.warnings = std::move(outcome.diagnostics);
  return std::move(outcome.compiled);
}

} // namespace metalwright::msl
