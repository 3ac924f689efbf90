// Finds the kernels of a translation unit and checks their signatures.
#include "msl/entry_points.h"

#include "msl/session.h"
#include "msl/target.h"

#include <clang/AST/Attr.h>
#include <clang/AST/DeclTemplate.h>
#include <clang/AST/RecordLayout.h>
#include <clang/AST/RecursiveASTVisitor.h>
#include <llvm/ADT/DenseSet.h>

#include <algorithm>
#include <bitset>
#include <map>

namespace metalwright::msl {
namespace {

constexpr unsigned kMaxBuffers = 31;
constexpr unsigned kMaxTextures = 128;
constexpr unsigned kMaxSamplers = 16;

// How many indices there are of a kind.
unsigned most_of(ParameterKind kind) {
  return kind == ParameterKind::texture   ? kMaxTextures
         : kind == ParameterKind::sampler ? kMaxSamplers
                                          : kMaxBuffers;
}
const char* name_of_kind(ParameterKind kind) {
  switch (kind) {
  case ParameterKind::threadgroup:
    return "threadgroup";
  case ParameterKind::texture:
    return "texture";
  case ParameterKind::sampler:
    return "sampler";
  default:
    return "buffer";
  }
}

class Finder {
 public:
  explicit Finder(clang::Sema& sema)
      : sema_(sema), context_(sema.getASTContext()), policy_(context_.getPrintingPolicy()) {
    policy_.SuppressTagKeyword = true;
    policy_.Bool = true;
  }

  EntryPoints run(llvm::ArrayRef<clang::FunctionDecl*> instantiations) {
    visit(context_.getTranslationUnitDecl());
    for (clang::FunctionDecl* function : instantiations)
      consider(function);
    return std::move(result_);
  }

 private:
  // ------------------------------------------------------------------ walking
  void visit(clang::DeclContext* scope) {
    // noload: the precompiled standard library has no kernels, and includes that have any are not
    // precompiled (preamble.cpp).
    for (clang::Decl* declaration : scope->noload_decls()) {
      if (declaration->isFromASTFile())
        continue;
      if (auto* function = llvm::dyn_cast<clang::FunctionDecl>(declaration))
        consider(function);
      else if (auto* variable = llvm::dyn_cast<clang::VarDecl>(declaration))
        consider(variable);
      else if (auto* pattern = llvm::dyn_cast<clang::FunctionTemplateDecl>(declaration)) {
        for (clang::FunctionDecl* specialisation : pattern->specializations()) {
          const clang::TemplateSpecializationKind kind =
              specialisation->getTemplateSpecializationKind();
          if (kind == clang::TSK_ExplicitInstantiationDefinition) {
            result_.has_explicit_instantiations = true;
            consider(specialisation);
          }
        }
      } else if (auto* inner = llvm::dyn_cast<clang::NamespaceDecl>(declaration))
        visit(inner);
      else if (auto* linkage = llvm::dyn_cast<clang::LinkageSpecDecl>(declaration))
        visit(linkage);
    }
  }

  // ------------------------------------------------------------------ annotations
  static const Attribute* attribute_of(const clang::AnnotateAttr* annotation) {
    llvm::StringRef name = annotation->getAnnotation();
    return name.consume_front(kAnnotationPrefix) ? find_attribute(name) : nullptr;
  }
  std::optional<llvm::APSInt> integer(const clang::AnnotateAttr* annotation, unsigned argument) {
    if (annotation->args_size() <= argument)
      return std::nullopt;
    const clang::Expr* expression = annotation->args_begin()[argument];
    clang::Expr::EvalResult value;
    if (expression->isValueDependent() || !expression->EvaluateAsInt(value, context_))
      return std::nullopt;
    return value.Val.getInt();
  }
  std::string string(const clang::AnnotateAttr* annotation) {
    const clang::Expr* expression = (*annotation->args_begin())->IgnoreParenCasts();
    if (const auto* constant = llvm::dyn_cast<clang::ConstantExpr>(expression))
      expression = constant->getSubExpr()->IgnoreParenCasts();
    if (const auto* literal = llvm::dyn_cast<clang::StringLiteral>(expression))
      return literal->getString().str();
    return {};
  }
  template <unsigned N>
  clang::DiagnosticBuilder error(clang::SourceLocation where, const char (&format)[N]) {
    clang::DiagnosticsEngine& engine = sema_.getDiagnostics();
    return engine.Report(where, engine.getCustomDiagID(clang::DiagnosticsEngine::Error, format));
  }

  // ------------------------------------------------------------------ declarations
  void consider(clang::VarDecl* variable) {
    if (!variable->isFileVarDecl() || variable->isInvalidDecl())
      return;
    for (const auto* annotation : variable->specific_attrs<clang::AnnotateAttr>()) {
      const Attribute* attribute = attribute_of(annotation);
      if (!attribute || attribute->kind != AttributeKind::function_constant)
        continue;
      const auto index = integer(annotation, 0);
      if (!index || index->isNegative() || index->getExtValue() > 65535) {
        error(annotation->getLocation(),
              "'function_constant' attribute requires an index between 0 and 65535");
        return;
      }
      if (!is_number(variable->getType())) {
        error(variable->getLocation(),
              "type '%0' is not valid for attribute 'function_constant': it must be a scalar or a "
              "vector")
            << name_of(variable->getType());
        return;
      }
      for (const FunctionConstantDeclaration& other : result_.constants)
        if (other.index == index->getZExtValue() && other.variable != variable) {
          error(variable->getLocation(), "function constant index %0 is already used by '%1'")
              << other.index << other.name;
          return;
        }
      result_.constants.push_back({variable, static_cast<unsigned>(index->getZExtValue()),
                                   variable->getNameAsString(), name_of(variable->getType())});
      return;
    }
    const clang::QualType type = variable->getType();
    if (!type->isDependentType() && air_space(type) != kConstantSpace && !variable->isConstexpr() &&
        !variable->isStaticDataMember())
      error(variable->getLocation(),
            "program scope variable must reside in constant address space");
  }

  void consider(clang::FunctionDecl* function) {
    const clang::FunctionDecl* definition = nullptr;
    if (function->isInvalidDecl() || function->isTemplated() || !function->isDefined(definition) ||
        definition != function)
      return;
    KernelDeclaration kernel;
    kernel.function = function;
    bool is_kernel = false;
    std::vector<std::string> host_names;
    for (const auto* annotation : function->specific_attrs<clang::AnnotateAttr>()) {
      const Attribute* attribute = attribute_of(annotation);
      if (!attribute)
        continue;
      switch (attribute->kind) {
      case AttributeKind::kernel:
        is_kernel = true;
        break;
      case AttributeKind::host_name:
        host_names.push_back(string(annotation));
        break;
      case AttributeKind::max_threads:
      case AttributeKind::required_threads: {
        uint64_t threads = 1;
        for (unsigned i = 0; i < annotation->args_size(); ++i) {
          const auto value = integer(annotation, i);
          if (!value || !value->isStrictlyPositive()) {
            error(annotation->getLocation(), "'%0' attribute requires a positive integer constant")
                << attribute->name;
            return;
          }
          threads *= value->getZExtValue();
        }
        kernel.max_threads = static_cast<unsigned>(std::min<uint64_t>(threads, 1u << 30));
        break;
      }
      case AttributeKind::other:
        break;
      default:
        error(annotation->getLocation(), "'%0' attribute cannot be applied to a function")
            << attribute->name;
        return;
      }
    }
    if (!is_kernel)
      return;
    if (!function->getReturnType()->isVoidType()) {
      error(function->getLocation(), "kernel must have void return type");
      return;
    }
    if (llvm::isa<clang::CXXMethodDecl>(function)) {
      error(function->getLocation(), "a kernel cannot be a member function");
      return;
    }
    if (!parameters(kernel))
      return;
    if (host_names.empty())
      host_names.push_back(default_name(function));
    for (std::string& name : host_names) {
      if (!names_.insert(name).second) {
        error(function->getLocation(), "duplicate kernel name '%0'") << name;
        return;
      }
      kernel.name = std::move(name);
      result_.kernels.push_back(kernel);
    }
  }

  // Qualified as Apple's function names are; a specialisation without a host name has its arguments
  // in its name, for want of a better one.
  std::string default_name(const clang::FunctionDecl* function) {
    std::string name;
    llvm::raw_string_ostream stream(name);
    function->getNameForDiagnostic(stream, policy_, /*Qualified=*/true);
    return name;
  }

  // ------------------------------------------------------------------ parameters
  // A scalar or a metal::vec of one.
  static bool is_number(clang::QualType type) {
    if (type->isArithmeticType())
      return true;
    const auto* record =
        llvm::dyn_cast_or_null<clang::ClassTemplateSpecializationDecl>(type->getAsCXXRecordDecl());
    return record && record->getName() == "vec";
  }
  std::string name_of(clang::QualType type) {
    return type.getUnqualifiedType().getNonReferenceType().getAsString(policy_);
  }

  bool parameters(KernelDeclaration& kernel) {
    bool ok = true;
    std::map<ParameterKind, std::bitset<kMaxTextures>> taken;
    std::vector<size_t> implicit; // positions of arguments without an index of their own
    for (const clang::ParmVarDecl* declaration : kernel.function->parameters()) {
      KernelParameter parameter;
      parameter.declaration = declaration;
      std::optional<unsigned> index;
      ParameterKind index_kind = ParameterKind::buffer;
      for (const auto* annotation : declaration->specific_attrs<clang::AnnotateAttr>()) {
        const Attribute* attribute = attribute_of(annotation);
        if (!attribute)
          continue;
        switch (attribute->kind) {
        case AttributeKind::buffer:
        case AttributeKind::threadgroup:
        case AttributeKind::texture:
        case AttributeKind::sampler: {
          index_kind = attribute->kind == AttributeKind::buffer    ? ParameterKind::buffer
                       : attribute->kind == AttributeKind::texture ? ParameterKind::texture
                       : attribute->kind == AttributeKind::sampler ? ParameterKind::sampler
                                                                   : ParameterKind::threadgroup;
          const auto value = integer(annotation, 0);
          if (!value || value->isNegative() || value->getExtValue() >= most_of(index_kind)) {
            error(annotation->getLocation(), "'%0' attribute parameter is out of bounds: must be "
                                             "between 0 and %1")
                << attribute->name << (most_of(index_kind) - 1);
            ok = false;
            continue;
          }
          index = static_cast<unsigned>(value->getZExtValue());
          break;
        }
        case AttributeKind::built_in:
          if (parameter.built_in && parameter.built_in != attribute) {
            error(annotation->getLocation(), "'%0' and '%1' attributes are not compatible")
                << attribute->name << parameter.built_in->name;
            ok = false;
          }
          parameter.built_in = attribute;
          break;
        case AttributeKind::function_constant:
          parameter.function_constant = constant_named(annotation);
          if (!parameter.function_constant) {
            error(annotation->getLocation(),
                  "'function_constant' attribute requires the name of a function constant");
            ok = false;
          }
          break;
        case AttributeKind::other:
          break;
        default:
          error(annotation->getLocation(), "'%0' attribute cannot be applied to a parameter")
              << attribute->name;
          ok = false;
        }
      }
      const bool good = parameter.built_in ? built_in(parameter) : bindable(parameter);
      if (good && !parameter.built_in) {
        const bool is_handle =
            parameter.kind == ParameterKind::texture || parameter.kind == ParameterKind::sampler;
        if (index && index_kind != parameter.kind && is_handle) {
          error(declaration->getLocation(), "'%0' attribute does not fit a %1")
              << name_of_kind(index_kind) << name_of_kind(parameter.kind);
          ok = false;
        } else if (index && index_kind != parameter.kind) {
          error(declaration->getLocation(), "'%0' attribute does not fit a parameter in the "
                                            "%1 address space")
              << name_of_kind(index_kind)
              << (parameter.kind == ParameterKind::threadgroup ? "threadgroup"
                                                               : "device or constant");
          ok = false;
        } else if (index) {
          auto& used = taken[parameter.kind];
          if (used[*index]) {
            error(declaration->getLocation(), "%0 index %1 is used more than once")
                << name_of_kind(parameter.kind) << *index;
            ok = false;
          }
          used[*index] = true;
          parameter.index = *index;
        } else {
          implicit.push_back(kernel.parameters.size());
        }
      }
      ok = ok && good;
      kernel.parameters.push_back(std::move(parameter));
    }
    if (!ok)
      return false;
    // An argument without an index gets the lowest that is free, in order of declaration.
    for (const size_t position : implicit) {
      KernelParameter& parameter = kernel.parameters[position];
      auto& used = taken[parameter.kind];
      const unsigned most = most_of(parameter.kind);
      unsigned index = 0;
      while (index < most && used[index])
        ++index;
      if (index == most) {
        error(parameter.declaration->getLocation(), "kernel has more than %0 %1 arguments")
            << most << name_of_kind(parameter.kind);
        return false;
      }
      used[index] = true;
      parameter.index = index;
    }
    // What a tensor's extents and strides come in is no argument that anyone
    // wrote: from the end.
    for (KernelParameter& parameter : kernel.parameters) {
      if (parameter.tensor_rank == 0)
        continue;
      auto& used = taken[ParameterKind::buffer];
      unsigned index = kMaxBuffers;
      while (index > 0 && used[index - 1])
        --index;
      if (index == 0) {
        error(parameter.declaration->getLocation(),
              "kernel has more than %0 buffer arguments: each tensor takes two")
            << kMaxBuffers;
        return false;
      }
      used[index - 1] = true;
      parameter.shape_index = index - 1;
    }
    return dimensions_agree(kernel);
  }

  const clang::VarDecl* constant_named(const clang::AnnotateAttr* annotation) {
    if (annotation->args_size() != 1)
      return nullptr;
    const clang::Expr* expression = (*annotation->args_begin())->IgnoreParenCasts();
    if (const auto* constant = llvm::dyn_cast<clang::ConstantExpr>(expression))
      expression = constant->getSubExpr()->IgnoreParenCasts();
    if (const auto* address = llvm::dyn_cast<clang::UnaryOperator>(expression))
      expression = address->getSubExpr()->IgnoreParenCasts();
    if (const auto* reference = llvm::dyn_cast<clang::DeclRefExpr>(expression))
      return llvm::dyn_cast<clang::VarDecl>(reference->getDecl());
    return nullptr;
  }

  // Fills in element type and component count of a scalar or of a metal::vec; 1 for a scalar.
  bool component(clang::QualType type, clang::QualType& element, unsigned& count) {
    const clang::QualType canonical = type.getCanonicalType().getUnqualifiedType();
    if (canonical->isIntegerType()) {
      element = canonical;
      count = 1;
      return true;
    }
    const auto* record = llvm::dyn_cast_or_null<clang::ClassTemplateSpecializationDecl>(
        canonical->getAsCXXRecordDecl());
    if (!record || record->getName() != "vec" || record->getTemplateArgs().size() < 2)
      return false;
    element = record->getTemplateArgs()[0].getAsType().getCanonicalType();
    count = static_cast<unsigned>(record->getTemplateArgs()[1].getAsIntegral().getZExtValue());
    return true;
  }

  // Fills in a texture or a sampler; false if the type is neither.
  bool handle(KernelParameter& parameter, const clang::CXXRecordDecl* record) {
    if (!record || !in_library(record))
      return false;
    parameter.type_name = record->getNameAsString();
    if (parameter.type_name == "sampler") {
      parameter.kind = ParameterKind::sampler;
      parameter.is_const = true;
      parameter.address_space = kConstantSpace;
      return true;
    }
    const auto* type = llvm::dyn_cast<clang::ClassTemplateSpecializationDecl>(record);
    if (type && record->getName() == "tensor")
      return tensor(parameter, type);
    if (!type || !record->getName().starts_with("texture") || type->getTemplateArgs().size() < 2)
      return false;
    static constexpr const char* kAccess[] = {"sample", "read", "write", "read_write"};
    const clang::TemplateArgumentList& arguments = type->getTemplateArgs();
    const uint64_t access = arguments[1].getAsIntegral().getZExtValue();
    parameter.kind = ParameterKind::texture;
    parameter.access = kAccess[access < 4 ? access : 0];
    parameter.is_const = access < 2;
    parameter.address_space = kDeviceSpace;
    parameter.type_name +=
        "<" + vector_name(arguments[0].getAsType()) + ", " + parameter.access + ">";
    return true;
  }

  // A tensor that the host binds; false if it is one that only a shader makes.
  bool tensor(KernelParameter& parameter, const clang::ClassTemplateSpecializationDecl* type) {
    const clang::TemplateArgumentList& arguments = type->getTemplateArgs();
    if (arguments.size() < 4 || arguments[3].pack_size() != 0 ||
        arguments[2].getAsType()->getAsCXXRecordDecl()->getName() != "tensor_handle")
      return false;
    const clang::QualType element = arguments[0].getAsType();
    const auto* extents = llvm::dyn_cast_or_null<clang::ClassTemplateSpecializationDecl>(
        arguments[1].getAsType()->getAsCXXRecordDecl());
    parameter.address_space = air_space(element);
    if (!extents || extents->getTemplateArgs().size() < 2 ||
        (parameter.address_space != kDeviceSpace && parameter.address_space != kConstantSpace))
      return false;
    parameter.tensor_rank = extents->getTemplateArgs()[1].pack_size();
    parameter.index_bytes = static_cast<unsigned>(
        context_.getTypeSizeInChars(extents->getTemplateArgs()[0].getAsType()).getQuantity());
    parameter.kind = ParameterKind::buffer;
    parameter.is_const = element.isConstQualified() || parameter.address_space == kConstantSpace;
    const clang::QualType value = context_.removeAddrSpaceQualType(element).getUnqualifiedType();
    parameter.size = static_cast<uint64_t>(context_.getTypeSizeInChars(value).getQuantity());
    parameter.alignment = static_cast<uint64_t>(context_.getTypeAlignInChars(value).getQuantity());
    parameter.type_name =
        "tensor<" + vector_name(value) + ", " + std::to_string(parameter.tensor_rank) + ">";
    return parameter.tensor_rank != 0;
  }

  bool built_in(KernelParameter& parameter) {
    parameter.kind = ParameterKind::built_in;
    const clang::QualType type = parameter.declaration->getType();
    clang::QualType element;
    unsigned count = 0;
    const bool is_vector = parameter.built_in->type == BuiltInType::vector;
    if (!component(type, element, count) || count > (is_vector ? 3u : 1u) ||
        !(context_.hasSameType(element, context_.UnsignedIntTy) ||
          context_.hasSameType(element, context_.UnsignedShortTy))) {
      if (is_vector)
        error(parameter.declaration->getLocation(),
              "type %0 is not valid for attribute '%1': it must be 'uint', 'uint2', 'uint3', "
              "'ushort', 'ushort2' or 'ushort3'")
            << type << parameter.built_in->name;
      else
        error(parameter.declaration->getLocation(),
              "type %0 is not valid for attribute '%1': it must be 'uint' or 'ushort'")
            << type << parameter.built_in->name;
      return false;
    }
    parameter.type_name = name_of(type);
    parameter.size = count;
    return true;
  }

  bool bindable(KernelParameter& parameter) {
    const clang::ParmVarDecl* declaration = parameter.declaration;
    const clang::QualType type = declaration->getOriginalType().getCanonicalType();
    clang::QualType pointee;
    if (const auto* pointer = type->getAs<clang::PointerType>()) {
      pointee = pointer->getPointeeType();
    } else if (const auto* reference = type->getAs<clang::LValueReferenceType>()) {
      pointee = reference->getPointeeType();
      parameter.is_reference = true;
    } else if (const auto* array = context_.getAsArrayType(type)) {
      pointee = array->getElementType();
    } else if (handle(parameter, type->getAsCXXRecordDecl())) {
      return true;
    } else {
      error(declaration->getLocation(),
            "invalid type %0 for input declaration in a kernel function: it is neither a pointer "
            "or reference nor a built-in with an attribute such as [[thread_position_in_grid]]")
          << declaration->getType();
      return false;
    }
    parameter.address_space = air_space(pointee);
    if (parameter.address_space == 0) {
      if (parameter.is_reference)
        error(declaration->getLocation(),
              "reference type must have explicit address space qualifier");
      else
        error(declaration->getLocation(),
              "pointer type must have explicit address space qualifier");
      return false;
    }
    if (parameter.address_space == kThreadgroupSpace)
      parameter.kind = ParameterKind::threadgroup;
    parameter.is_const = pointee.isConstQualified() || parameter.address_space == kConstantSpace;
    if (parameter.kind == ParameterKind::buffer && !members(parameter, pointee))
      return false;
    parameter.type_name = pointee->isVoidType() ? "void" : declared_name(declaration);
    if (!pointee->isVoidType()) {
      if (sema_.RequireCompleteType(declaration->getLocation(), pointee,
                                    clang::diag::err_incomplete_type))
        return false;
      parameter.size = static_cast<uint64_t>(context_.getTypeSizeInChars(pointee).getQuantity());
      parameter.alignment =
          static_cast<uint64_t>(context_.getTypeAlignInChars(pointee).getQuantity());
    }
    return true;
  }

  // What an argument buffer holds: a structure with pointers, or with [[id(n)]] on its members.
  // False if an index is wrong.
  bool members(KernelParameter& parameter, clang::QualType pointee) {
    const auto* record = pointee->getAsCXXRecordDecl();
    if (!record || !record->isCompleteDefinition() || record->isUnion() ||
        record->getNumBases() != 0 || record->isInvalidDecl() || in_library(record))
      return true;
    const clang::ASTRecordLayout& layout = context_.getASTRecordLayout(record);
    std::vector<MemberDeclaration> members;
    std::set<unsigned> taken;
    bool is_argument_buffer = false;
    unsigned next = 0;
    for (const clang::FieldDecl* field : record->fields()) {
      MemberDeclaration member;
      for (const auto* annotation : field->specific_attrs<clang::AnnotateAttr>()) {
        const Attribute* attribute = attribute_of(annotation);
        if (!attribute || attribute->kind != AttributeKind::id)
          continue;
        const auto value = integer(annotation, 0);
        if (!value || value->isNegative() || value->getExtValue() > 65535) {
          error(annotation->getLocation(), "'id' attribute requires an index between 0 and 65535");
          return false;
        }
        next = static_cast<unsigned>(value->getZExtValue());
        is_argument_buffer = true;
      }
      if (!taken.insert(next).second) {
        error(field->getLocation(), "argument buffer index %0 is used more than once") << next;
        return false;
      }
      member.id = next++;
      member.name = field->getNameAsString();
      member.offset = layout.getFieldOffset(field->getFieldIndex()) / 8;
      clang::QualType type = field->getType();
      const clang::QualType to = type->isPointerType() || type->isReferenceType()
                                     ? type->getPointeeType()
                                     : clang::QualType();
      if (!to.isNull() && !to->isFunctionType()) {
        member.is_pointer = is_argument_buffer = true;
        member.address_space = air_space(to);
        member.is_const = to.isConstQualified() || member.address_space == kConstantSpace;
        type = to;
      }
      type = context_.removeAddrSpaceQualType(type).getUnqualifiedType();
      const std::string known = vector_name(type);
      member.type_name = known.empty() ? type.getAsString(policy_) : known;
      if (!type->isVoidType() && !type->isIncompleteType()) {
        member.size = static_cast<uint64_t>(context_.getTypeSizeInChars(type).getQuantity());
        member.alignment = static_cast<uint64_t>(context_.getTypeAlignInChars(type).getQuantity());
      }
      members.push_back(std::move(member));
    }
    if (is_argument_buffer)
      parameter.members = std::move(members);
    return true;
  }
  bool in_library(const clang::Decl* declaration) const {
    const clang::SourceManager& sources = context_.getSourceManager();
    return sources.getFilename(sources.getExpansionLoc(declaration->getLocation()))
        .starts_with(kLibraryFolder);
  }

  // The pointee as the user wrote it: `float4`, not what the alias stands for.
  std::string declared_name(const clang::ParmVarDecl* declaration) {
    clang::QualType type = declaration->getOriginalType();
    if (!type->getPointeeType().isNull())
      type = type->getPointeeType();
    else if (const auto* array = context_.getAsArrayType(type))
      type = array->getElementType();
    clang::Qualifiers qualifiers;
    type = clang::QualType(context_.getUnqualifiedArrayType(type, qualifiers));
    type = type.getUnqualifiedType();
    // Without the address space, which may sit in the sugar.
    if (type.hasAddressSpace())
      type = context_.removeAddrSpaceQualType(type);
    clang::QualType element;
    unsigned count = 0;
    if (const std::string known = vector_name(type); !known.empty())
      return known;
    (void)element;
    (void)count;
    return type.getAsString(policy_);
  }

  // "float4" for vec<float, 4>, whatever alias it was reached by.
  std::string vector_name(clang::QualType type) {
    const clang::QualType canonical = type.getCanonicalType().getUnqualifiedType();
    if (const auto* builtin = canonical->getAs<clang::BuiltinType>())
      return scalar_name(builtin);
    const auto* record = llvm::dyn_cast_or_null<clang::ClassTemplateSpecializationDecl>(
        canonical->getAsCXXRecordDecl());
    if (!record || record->getName() != "vec" || record->getTemplateArgs().size() < 2 ||
        record->getTemplateArgs()[0].getKind() != clang::TemplateArgument::Type)
      return {};
    const auto* element = record->getTemplateArgs()[0].getAsType()->getAs<clang::BuiltinType>();
    const std::string scalar = element ? scalar_name(element) : std::string();
    return scalar.empty()
               ? scalar
               : scalar +
                     std::to_string(record->getTemplateArgs()[1].getAsIntegral().getZExtValue());
  }
  static std::string scalar_name(const clang::BuiltinType* type) {
    switch (type->getKind()) {
    case clang::BuiltinType::Bool:
      return "bool";
    case clang::BuiltinType::Char_S:
    case clang::BuiltinType::SChar:
      return "char";
    case clang::BuiltinType::UChar:
      return "uchar";
    case clang::BuiltinType::Short:
      return "short";
    case clang::BuiltinType::UShort:
      return "ushort";
    case clang::BuiltinType::Int:
      return "int";
    case clang::BuiltinType::UInt:
      return "uint";
    case clang::BuiltinType::Long:
    case clang::BuiltinType::LongLong:
      return "long";
    case clang::BuiltinType::ULong:
    case clang::BuiltinType::ULongLong:
      return "ulong";
    case clang::BuiltinType::Float16:
    case clang::BuiltinType::Half:
      return "half";
    case clang::BuiltinType::BFloat16:
      return "bfloat";
    case clang::BuiltinType::Float:
      return "float";
    default:
      return {};
    }
  }

  // Metal wants all position-like arguments of one kernel to have the same number of components.
  bool dimensions_agree(const KernelDeclaration& kernel) {
    const KernelParameter* first = nullptr;
    for (const KernelParameter& parameter : kernel.parameters) {
      if (!parameter.built_in || parameter.built_in->type != BuiltInType::vector)
        continue;
      if (first && first->size != parameter.size) {
        error(parameter.declaration->getLocation(),
              "'%0' has type '%1' and '%2' has type '%3': they must have the same number of "
              "components")
            << parameter.built_in->name << parameter.type_name << first->built_in->name
            << first->type_name;
        return false;
      }
      first = &parameter;
    }
    return true;
  }

  clang::Sema& sema_;
  clang::ASTContext& context_;
  clang::PrintingPolicy policy_;
  EntryPoints result_;
  std::set<std::string> names_;
};

} // namespace

EntryPoints find_entry_points(clang::Sema& sema,
                              llvm::ArrayRef<clang::FunctionDecl*> instantiations) {
  return Finder(sema).run(instantiations);
}

} // namespace metalwright::msl
