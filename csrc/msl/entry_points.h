// Finds the kernels of a translation unit and checks their signatures.
#pragma once

#include "msl/attributes.h"

#include <clang/AST/ASTContext.h>
#include <clang/AST/Decl.h>
#include <clang/Sema/Sema.h>

#include <string>
#include <vector>

namespace metalwright::msl {

// What an argument of a kernel is; indices count separately for each kind.
enum class ParameterKind { buffer, threadgroup, texture, sampler, built_in };

// A member of the structure behind an argument buffer.
struct MemberDeclaration {
  unsigned id = 0;
  std::string name;
  bool is_pointer = false;
  unsigned address_space = 0; // of what it points to
  bool is_const = false;
  std::string type_name;  // of what it points to, or its own
  uint64_t offset = 0;    // in the structure
  uint64_t size = 0;      // of what it points to, or its own
  uint64_t alignment = 1; // likewise
};

// One argument of a kernel, in the order of the declaration.
struct KernelParameter {
  ParameterKind kind = ParameterKind::buffer;
  const clang::ParmVarDecl* declaration = nullptr;
  const Attribute* built_in = nullptr; // or null for what can be bound
  bool is_reference = false;
  unsigned address_space = 0; // AIR's number of the pointee's
  unsigned index = 0;
  bool is_const = false;
  std::string access;    // of a texture: "sample", "read", "write", "read_write"
  std::string type_name; // of the pointee, or of the built-in
  uint64_t size = 0;
  uint64_t alignment = 0;
  std::vector<MemberDeclaration> members; // of an argument buffer; else empty
  unsigned tensor_rank = 0; // of a tensor, which is bound as its memory and as its shape; else 0
  unsigned shape_index = 0; // the buffer index of that
  unsigned index_bytes = 0; // of the type that the tensor's indices have
  const clang::VarDecl* function_constant = nullptr; // of [[function_constant(name)]]
};

struct KernelDeclaration {
  clang::FunctionDecl* function = nullptr;
  std::string name;
  std::vector<KernelParameter> parameters;
  unsigned max_threads = 0; // 0: not given
};

struct FunctionConstantDeclaration {
  const clang::VarDecl* variable = nullptr;
  unsigned index = 0;
  std::string name;
  std::string type_name;
};

struct EntryPoints {
  std::vector<KernelDeclaration> kernels;
  std::vector<FunctionConstantDeclaration> constants;
  // Of function templates, kernels or not, whose definitions may be made only when a translation
  // unit ends.
  bool has_explicit_instantiations = false;
};

// Reports every violation of Metal's rules for kernels to the diagnostics engine; what it returns
// is complete only if there was none. What is in a precompiled header is not looked at;
// `instantiations` are the program's own of templates that are.
EntryPoints find_entry_points(clang::Sema& sema,
                              llvm::ArrayRef<clang::FunctionDecl*> instantiations);

} // namespace metalwright::msl
