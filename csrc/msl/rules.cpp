// Metal's rules that C++ does not have, checked on the syntax tree.
#include "msl/rules.h"

#include "msl/clang_attributes.h"
#include "msl/session.h"
#include "msl/target.h"

#include <clang/AST/Attr.h>
#include <clang/AST/RecursiveASTVisitor.h>
#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/DenseSet.h>

namespace metalwright::msl {
namespace {

namespace tok = clang::tok;

// Whether a `*` or `&` stands behind an address space, by the tokens in front of it. `thread` is
// not in the syntax tree: things are there anyway.
class WrittenSpaces {
 public:
  explicit WrittenSpaces(llvm::ArrayRef<clang::Token> tokens) : tokens_(tokens) {}

  // True too where nobody can tell, because the tokens are not from this file.
  bool is_qualified(clang::SourceLocation declarator) {
    if (positions_.empty())
      for (unsigned index = 0; index < tokens_.size(); ++index)
        positions_.try_emplace(tokens_[index].getLocation().getRawEncoding(), index);
    const auto found = positions_.find(declarator.getRawEncoding());
    if (found == positions_.end() ||
        !tokens_[found->second].isOneOf(tok::star, tok::amp, tok::ampamp))
      return true;
    int depth = 0;
    bool in_list = false; // among the declarators in front of this one
    for (unsigned index = found->second; index > 0; --index) {
      const clang::Token& token = tokens_[index - 1];
      if (token.isOneOf(tok::r_paren, tok::r_square, tok::r_brace, tok::greater)) {
        ++depth;
      } else if (token.is(tok::greatergreater)) {
        depth += 2;
      } else if (token.isOneOf(tok::l_paren, tok::l_square, tok::l_brace, tok::less)) {
        // `thread float (&a)[4]`: the type is outside of the declarator's parentheses.
        if (index == found->second && token.is(tok::l_paren))
          continue;
        if (depth == 0)
          return false;
        --depth;
      } else if (depth == 0 && token.is(tok::comma)) {
        // Further declarators (`thread float *a, *b`) share what the first one is qualified with.
        if (!in_list && index != found->second)
          return false;
        in_list = true;
      } else if (depth == 0 && (token.is(tok::semi) || token.is(tok::colon) ||
                                (!in_list && token.isOneOf(tok::equal, tok::star, tok::amp)))) {
        return false;
      } else if (depth == 0 && token.is(tok::identifier)) {
        const llvm::StringRef name = token.getIdentifierInfo()->getName();
        if (name == "thread" || name == "device" || name == "constant" || name == "threadgroup")
          return true;
      }
    }
    return false;
  }

 private:
  llvm::ArrayRef<clang::Token> tokens_;
  llvm::DenseMap<unsigned, unsigned> positions_;
};

class Rules final : public clang::RecursiveASTVisitor<Rules> {
 public:
  Rules(clang::Sema& sema, llvm::ArrayRef<clang::Token> tokens)
      : sema_(sema), context_(sema.getASTContext()), spaces_(tokens) {}

  bool shouldVisitTemplateInstantiations() const { return true; }
  // Everything behind it was checked when the header was compiled.
  bool TraverseDecl(clang::Decl* declaration) {
    return declaration && declaration->isFromASTFile()
               ? true
               : RecursiveASTVisitor::TraverseDecl(declaration);
  }

  // ------------------------------------------------------------------ declarations
  bool VisitDeclaratorDecl(clang::DeclaratorDecl* declaration) {
    if (declaration->isImplicit())
      return true;
    if (const clang::TypeSourceInfo* info = declaration->getTypeSourceInfo())
      check_pointers(llvm::isa<clang::FunctionDecl>(declaration) ? returned(info->getTypeLoc())
                                                                 : info->getTypeLoc());
    return true;
  }

  bool VisitVarDecl(clang::VarDecl* variable) {
    const clang::QualType type = variable->getType();
    if (type->isVariableArrayType() && !llvm::isa<clang::ParmVarDecl>(variable))
      error(variable->getLocation(), "variable length arrays are not supported in Metal");
    const unsigned space = air_space(type);
    if (space == kThreadgroupSpace && variable->hasInit() && !is_implicit(variable->getInit()))
      error(variable->getLocation(),
            "variable in threadgroup address space cannot have an initializer");
    if (variable->isStaticLocal() && space == kThreadSpace && !variable->isConstexpr())
      error(variable->getLocation(), "static local variable must reside in constant address space");
    // C++ would compute it when it is first met, and store it in memory that is only read.
    if (variable->isStaticLocal() && space == kConstantSpace && variable->hasInit() &&
        !type->isDependentType() && !variable->getInit()->isValueDependent() &&
        !variable->hasConstantInitialization())
      error(variable->getLocation(),
            "variable in constant address space must be initialized with a compile-time constant; "
            "leave 'constant' out for a value that is computed");
    if (variable->hasExternalStorage() && !variable->getDefinition() && variable->isUsed() &&
        llvm::none_of(variable->specific_attrs<clang::AnnotateAttr>(), [](const auto* annotation) {
          return annotation->getAnnotation() == "msl.function_constant";
        }))
      error(variable->getLocation(), "undefined symbol '%0': it is used, declared and not defined")
          << variable->getNameAsString();
    return true;
  }

  bool VisitFunctionDecl(clang::FunctionDecl* function) {
    if (function->isVariadic())
      error(function->getLocation(), "variadic functions are not supported in Metal");
    return true;
  }

  bool VisitGCCAsmStmt(clang::GCCAsmStmt* statement) {
    error(statement->getBeginLoc(), "inline assembly is not supported in Metal");
    return true;
  }
  bool VisitFileScopeAsmDecl(clang::FileScopeAsmDecl* declaration) {
    error(declaration->getLocation(), "inline assembly is not supported in Metal");
    return true;
  }

  // Which devices and versions take these, Apple does not say in one place: warnings, not errors.
  bool VisitGotoStmt(clang::GotoStmt* statement) {
    warning(statement->getGotoLoc(), "'goto' is not supported by every version of Metal");
    return true;
  }

  // ------------------------------------------------------------------ address spaces
  // What is generic by nature: `this`, what the library's functions take by reference, and the
  // reference that a class copies itself from.
  bool VisitCXXMemberCallExpr(clang::CXXMemberCallExpr* call) {
    if (const clang::CXXMethodDecl* method = call->getMethodDecl())
      object(call->getImplicitObjectArgument(), method);
    return true;
  }
  bool VisitMemberExpr(clang::MemberExpr* member) {
    exempt(member->getBase());
    return true;
  }
  bool VisitCallExpr(clang::CallExpr* call) {
    const clang::FunctionDecl* callee = call->getDirectCallee();
    if (!callee)
      return true;
    for (const auto* annotation : callee->specific_attrs<clang::AnnotateAttr>())
      if (annotation->getAnnotation() == "msl.kernel")
        warning(call->getExprLoc(),
                "a kernel is called as a function: not every version of Metal takes this; move "
                "what they share to a function of its own");
    check_deduction(call, callee);
    const auto* method = llvm::dyn_cast<clang::CXXMethodDecl>(callee);
    if (llvm::isa<clang::CXXOperatorCallExpr>(call) && method && call->getNumArgs() > 0)
      object(call->getArg(0), method);
    const unsigned first = llvm::isa<clang::CXXOperatorCallExpr>(call) && method ? 1 : 0;
    if (callee->isImplicit() || callee->isDefaulted() || is_library(callee))
      for (unsigned i = 0; i + first < call->getNumArgs() && i < callee->getNumParams(); ++i)
        if (method || callee->isOverloadedOperator() ||
            pointee(callee->getParamDecl(i)->getType()).isConstQualified())
          exempt(call->getArg(i + first));
    return true;
  }
  bool VisitCXXConstructExpr(clang::CXXConstructExpr* construct) {
    const clang::CXXConstructorDecl* constructor = construct->getConstructor();
    if (constructor->isImplicit() || constructor->isDefaulted() || is_library(constructor))
      for (clang::Expr* argument : construct->arguments())
        exempt(argument);
    return true;
  }
  // The value of a conditional is read from whichever place was chosen.
  bool VisitConditionalOperator(clang::ConditionalOperator* conditional) {
    if (conditional->isGLValue()) {
      exempt(conditional->getTrueExpr());
      exempt(conditional->getFalseExpr());
    }
    return true;
  }
  bool VisitCastExpr(clang::CastExpr* cast) {
    if (cast->getCastKind() != clang::CK_AddressSpaceConversion || exempt_.contains(cast))
      return true;
    const clang::Expr* from = cast->getSubExpr();
    const clang::Expr* origin = from->IgnoreParenImpCasts();
    if (llvm::isa<clang::StringLiteral>(origin) || llvm::isa<clang::PredefinedExpr>(origin))
      return true; // text lies in constant memory: the cast is the token rewriter's
    const bool reference = cast->isGLValue();
    error(cast->getExprLoc(), "%select{pointer|reference}0 to '%1' cannot be converted to one to "
                              "'%2': address spaces do not mix")
        << reference << described(reference ? from->getType() : pointee(from->getType()))
        << described(reference ? cast->getType() : pointee(cast->getType()));
    return true;
  }

  bool is_library(const clang::Decl* declaration) const {
    // The library is a precompiled header of its own; a preamble of the user's
    // is another one.
    const clang::SourceManager& sources = context_.getSourceManager();
    return sources.getFilename(sources.getExpansionLoc(declaration->getLocation()))
        .starts_with(kLibraryFolder);
  }

 private:
  template <unsigned N>
  clang::DiagnosticBuilder error(clang::SourceLocation where, const char (&format)[N]) {
    clang::DiagnosticsEngine& engine = sema_.getDiagnostics();
    if (!reported_.insert(where.getRawEncoding()).second) // by another instantiation
      return engine.Report(where,
                           engine.getCustomDiagID(clang::DiagnosticsEngine::Ignored, "%0%1%2"))
             << "" << "" << "";
    return engine.Report(where, engine.getCustomDiagID(clang::DiagnosticsEngine::Error, format));
  }

  template <unsigned N> void warning(clang::SourceLocation where, const char (&text)[N]) {
    clang::DiagnosticsEngine& engine = sema_.getDiagnostics();
    if (reported_.insert(where.getRawEncoding()).second)
      engine.Report(where, engine.getCustomDiagID(clang::DiagnosticsEngine::Warning, text));
  }

  static clang::QualType pointee(clang::QualType type) {
    const clang::QualType to = type->getPointeeType();
    return to.isNull() ? type : to;
  }
  std::string described(clang::QualType type) const {
    clang::PrintingPolicy policy = context_.getPrintingPolicy();
    policy.SuppressTagKeyword = policy.Bool = true;
    const std::string text = type.getAsString(policy);
    return air_space(type) == kThreadSpace ? "thread " + text : text;
  }

  void exempt(const clang::Expr* expression) {
    for (; expression; expression = llvm::cast<clang::ImplicitCastExpr>(expression)->getSubExpr()) {
      if (const auto* whole = llvm::dyn_cast<clang::FullExpr>(expression))
        expression = whole->getSubExpr();
      if (const auto* temporary = llvm::dyn_cast<clang::MaterializeTemporaryExpr>(expression))
        expression = temporary->getSubExpr();
      exempt_.insert(expression);
      if (!llvm::isa<clang::ImplicitCastExpr>(expression))
        return;
    }
  }
  // The object of a member function without a qualifier is generic.
  void object(const clang::Expr* expression, const clang::CXXMethodDecl* method) {
    if (method->getMethodQualifiers().hasAddressSpace())
      return; // it is a cast like any other
    exempt(expression);
    const clang::Expr* origin = expression->IgnoreParenImpCasts();
    const clang::QualType type = pointee(origin->getType());
    if (air_space(type) == kThreadSpace ||
        llvm::none_of(method->specific_attrs<clang::AnnotateAttr>(), [](const auto* annotation) {
          return annotation->getAnnotation() == kThreadObject;
        }))
      return;
    error(expression->getExprLoc(), "'this' object is of type '%0', but method '%1' expects "
                                    "object in address space 'thread'")
        << described(type) << method->getNameAsString();
  }
  // `threadgroup Pair p[4];` calls a constructor that nobody wrote there.
  static bool is_implicit(const clang::Expr* initialiser) {
    const auto* construct = llvm::dyn_cast<clang::CXXConstructExpr>(initialiser->IgnoreImplicit());
    return construct && construct->getNumArgs() == 0 &&
           construct->getParenOrBraceRange().isInvalid();
  }

  // Whether a template parameter is the `auto` of an argument.
  static bool is_auto(const clang::FunctionDecl* pattern, unsigned index) {
    const clang::FunctionTemplateDecl* described = pattern->getDescribedFunctionTemplate();
    return described && index < described->getTemplateParameters()->size() &&
           described->getTemplateParameters()->getParam(index)->isImplicit();
  }

  // `template <typename T> void g(thread T& x)`: without `thread` in the type, T could be deduced
  // as `device float`.
  void check_deduction(const clang::CallExpr* call, const clang::FunctionDecl* callee) {
    const clang::FunctionDecl* pattern = callee->getTemplateInstantiationPattern();
    if (!pattern || is_library(pattern) || llvm::isa<clang::CXXOperatorCallExpr>(call))
      return;
    for (unsigned i = 0;
         i < call->getNumArgs() && i < callee->getNumParams() && i < pattern->getNumParams(); ++i) {
      const clang::QualType written = pattern->getParamDecl(i)->getType();
      const bool reference = written->isLValueReferenceType();
      if (!reference && !written->isPointerType())
        continue;
      const auto* parameter = written->getPointeeType()->getAs<clang::TemplateTypeParmType>();
      if (!parameter || is_auto(pattern, parameter->getIndex()) ||
          air_space(written->getPointeeType()) != kThreadSpace)
        continue;
      const clang::QualType deduced = callee->getParamDecl(i)->getType()->getPointeeType();
      if (air_space(deduced) != kThreadSpace)
        error(call->getArg(i)->getExprLoc(),
              "%select{pointer|reference}0 to '%1' cannot be converted to one to '%2': address "
              "spaces do not mix")
            << reference << described(deduced) << described(written->getPointeeType());
    }
  }

  static clang::TypeLoc returned(clang::TypeLoc location) {
    const auto function = location.IgnoreParens().getAs<clang::FunctionTypeLoc>();
    return function ? function.getReturnLoc() : clang::TypeLoc();
  }
  // Every level of pointers and references that is written out in a declaration.
  void check_pointers(clang::TypeLoc location) {
    for (; location; location = location.getNextTypeLoc()) {
      if (location.getAs<clang::FunctionTypeLoc>())
        return; // a pointer to a function: functions are in no address space
      clang::SourceLocation where;
      bool reference = false;
      if (const auto pointer = location.getAs<clang::PointerTypeLoc>()) {
        where = pointer.getStarLoc();
      } else if (const auto lvalue = location.getAs<clang::LValueReferenceTypeLoc>()) {
        where = lvalue.getAmpLoc();
        reference = true;
      } else {
        continue;
      }
      const clang::QualType to = location.getType()->getPointeeType();
      if (to->isFunctionType() || to->getContainedDeducedType() || air_space(to) != kThreadSpace ||
          spaces_.is_qualified(where))
        continue;
      error(where, "%select{pointer|reference}0 type must have explicit address space qualifier")
          << reference;
    }
  }

  clang::Sema& sema_;
  clang::ASTContext& context_;
  WrittenSpaces spaces_;
  llvm::DenseSet<const clang::Expr*> exempt_;
  llvm::DenseSet<unsigned> reported_;
};

} // namespace

void check_rules(clang::Sema& sema, llvm::ArrayRef<clang::Token> tokens,
                 llvm::ArrayRef<clang::Decl*> declarations) {
  Rules rules(sema, tokens);
  for (clang::Decl* declaration : declarations)
    if (!rules.is_library(declaration)) // one of its headers that are not precompiled
      rules.TraverseDecl(declaration);
}

} // namespace metalwright::msl
