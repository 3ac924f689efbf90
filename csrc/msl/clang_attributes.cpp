// Attributes that the token rewriter writes and that act on the syntax tree while it is built.
#include "msl/clang_attributes.h"

#include "msl/target.h"

#include <clang/AST/ASTContext.h>
#include <clang/AST/Attr.h>
#include <clang/AST/DeclCXX.h>
#include <clang/AST/DeclTemplate.h>
#include <clang/AST/Expr.h>
#include <clang/AST/TypeLoc.h>
#include <clang/Basic/ParsedAttrInfo.h>
#include <clang/Sema/ParsedAttr.h>
#include <clang/Sema/Sema.h>

namespace metalwright::msl {
namespace {

// Gives a member function an object in `space`. Clang knows members qualified with address spaces
// from C++ for OpenCL, and all of it but the parser's part works in any language.
//
// The object also becomes `restrict`. Clang compares the address space of an object that is in none
// (`thread` here) with that of the member only if the other qualifiers differ, and this one changes
// neither overloading nor the type of `*this`; without it a `device` member would be taken for a
// local variable. What it would promise to the optimiser is taken back in lower.cpp.
void qualify(clang::ASTContext& context, clang::CXXMethodDecl* method, clang::LangAS space) {
  const auto* type = method->getType()->getAs<clang::FunctionProtoType>();
  if (!type || method->isStatic() || llvm::isa<clang::CXXDestructorDecl>(method))
    return;
  clang::FunctionProtoType::ExtProtoInfo info = type->getExtProtoInfo();
  info.TypeQuals.setAddressSpace(space);
  info.TypeQuals.addRestrict();
  const clang::QualType qualified =
      context.getFunctionType(type->getReturnType(), type->getParamTypes(), info);
  // Templates are instantiated from the written type, so that has to say so as well.
  if (const clang::TypeSourceInfo* written = method->getTypeSourceInfo())
    if (written->getTypeLoc().getAs<clang::FunctionProtoTypeLoc>()) {
      clang::TypeSourceInfo* rewritten = context.CreateTypeSourceInfo(qualified);
      rewritten->getTypeLoc().initializeFullCopy(written->getTypeLoc());
      method->setTypeSourceInfo(rewritten);
    }
  method->setType(qualified);
}

class ObjectSpace final : public clang::ParsedAttrInfo {
 public:
  ObjectSpace() {
    static constexpr Spelling kSpellings[] = {{clang::ParsedAttr::AS_GNU, kObjectSpaceAttribute}};
    Spellings = kSpellings;
    NumArgs = 1;
  }
  AttrHandling handleDeclAttribute(clang::Sema& sema, clang::Decl* declaration,
                                   const clang::ParsedAttr& attribute) const override {
    auto* method = llvm::dyn_cast<clang::CXXMethodDecl>(declaration);
    const auto* number = llvm::dyn_cast<clang::IntegerLiteral>(attribute.getArgAsExpr(0));
    if (!method || !number)
      return AttributeNotApplied;
    const auto space = static_cast<unsigned>(number->getValue().getZExtValue());
    qualify(sema.getASTContext(), method, language_space(space));
    if (space == kThreadSpace)
      method->addAttr(
          clang::AnnotateAttr::CreateImplicit(sema.getASTContext(), kThreadObject, nullptr, 0));
    return AttributeApplied;
  }
};

class ObjectSpacesEnd final : public clang::ParsedAttrInfo {
 public:
  ObjectSpacesEnd() {
    static constexpr Spelling kSpellings[] = {
        {clang::ParsedAttr::AS_GNU, kObjectSpacesEndAttribute}};
    Spellings = kSpellings;
  }
  AttrHandling handleDeclAttribute(clang::Sema& sema, clang::Decl* declaration,
                                   const clang::ParsedAttr&) const override {
    const auto* record = llvm::dyn_cast<clang::CXXRecordDecl>(declaration->getDeclContext());
    if (!record)
      return AttributeNotApplied;
    for (clang::Decl* member : record->decls()) {
      if (const auto* pattern = llvm::dyn_cast<clang::FunctionTemplateDecl>(member))
        member = pattern->getTemplatedDecl();
      auto* method = llvm::dyn_cast<clang::CXXMethodDecl>(member);
      if (method && !method->isImplicit() && !method->getMethodQualifiers().hasRestrict() &&
          !llvm::isa<clang::CXXConstructorDecl>(method))
        qualify(sema.getASTContext(), method, clang::LangAS::Default);
    }
    return AttributeApplied;
  }
};

class ClassArguments final : public clang::ParsedAttrInfo {
 public:
  ClassArguments() {
    static constexpr Spelling kSpellings[] = {
        {clang::ParsedAttr::AS_GNU, kClassArgumentsAttribute}};
    Spellings = kSpellings;
    NumArgs = 1;
  }
  AttrHandling handleDeclAttribute(clang::Sema& sema, clang::Decl*,
                                   const clang::ParsedAttr& attribute) const override {
    // Clang asks for C++20 where such a parameter is declared and nowhere else.
    // The whole language mode would change overload resolution and what an
    // aggregate is for the program, too.
    const auto* on = llvm::dyn_cast<clang::IntegerLiteral>(attribute.getArgAsExpr(0));
    const_cast<clang::LangOptions&>(sema.getLangOpts()).CPlusPlus20 =
        on && !on->getValue().isZero();
    return AttributeApplied;
  }
};

} // namespace

void register_clang_attributes() {
  // The list is made from the registry once, without a lock, by whoever compiles first.
  static const bool registered = [] {
    static clang::ParsedAttrInfoRegistry::Add<ObjectSpace> space(kObjectSpaceAttribute,
                                                                 "the address space of `this`");
    static clang::ParsedAttrInfoRegistry::Add<ObjectSpacesEnd> end(
        kObjectSpacesEndAttribute, "the end of a class with such members");
    static clang::ParsedAttrInfoRegistry::Add<ClassArguments> arguments(
        kClassArgumentsAttribute, "template parameters of class type");
    return !clang::getAttributePluginInstances().empty();
  }();
  (void)registered;
}

} // namespace metalwright::msl
