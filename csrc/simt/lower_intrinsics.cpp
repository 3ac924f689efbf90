// The driver: finds each call of an `air.*` function, its row in the table, and replaces it.
#include "simt/lower_intrinsics.h"

#include "simt/lowering.h"
#include "simt/maths_library.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/Error.h>

#include <algorithm>
#include <optional>

namespace metalwright::simt {
namespace {

using llvm::StringRef;

const llvm::DenseMap<StringRef, const IntrinsicRow*>& rows_by_family() {
  static const llvm::DenseMap<StringRef, const IntrinsicRow*> rows = [] {
    llvm::DenseMap<StringRef, const IntrinsicRow*> map;
    for (const IntrinsicRow& row : intrinsic_rows()) {
      map[row.family] = &row;
    }
    return map;
  }();
  return rows;
}

struct Match {
  const IntrinsicRow* row = nullptr;
  bool is_fast = false;
  llvm::SmallVector<StringRef, 8> suffix;
};

// "air.fast_clamp.v4f32" -> row "clamp", fast, suffix {"v4f32"}: the family is the longest prefix
// of whole parts that the table knows.
std::optional<Match> find_row(StringRef name) {
  if (!name.consume_front("air.")) {
    return std::nullopt;
  }
  Match match;
  match.is_fast = name.consume_front("fast_");
  static constexpr IntrinsicRow texture{"texture", 1, Operands::any, lower_texture};
  if (const auto [family, types] = name.split('.'); is_texture_family(family)) {
    match.row = &texture;
    types.split(match.suffix, '.', -1, false);
    return match;
  }
  for (StringRef family = name; !family.empty(); family = family.rsplit('.').first) {
    if (auto found = rows_by_family().find(family); found != rows_by_family().end()) {
      match.row = found->second;
      name.drop_front(family.size()).split(match.suffix, '.', -1, false);
      return match;
    }
    if (!family.contains('.')) {
      break;
    }
  }
  return std::nullopt;
}

// Modules come from users' files too: a call must not reach a lowering that would build invalid IR
// from it.
bool operands_fit(const llvm::CallInst& call, const IntrinsicRow& row) {
  if (call.arg_size() < row.arguments || call.hasOperandBundles()) {
    return false;
  }
  for (const llvm::Value* argument : call.args()) {
    llvm::Type* type = argument->getType();
    if (type->isVectorTy() && !llvm::isa<llvm::FixedVectorType>(type)) {
      return false;
    }
  }
  if (row.operands == Operands::any) {
    return true;
  }
  llvm::Type* type = call.getType();
  llvm::Type* scalar = type->getScalarType();
  const bool fits = row.operands == Operands::floats
                        ? scalar->isFloatTy() || scalar->isHalfTy() || scalar->isBFloatTy()
                        : scalar->isIntegerTy();
  if (!fits) {
    return false;
  }
  for (unsigned i = 0; i < row.arguments; ++i) {
    if (call.getArgOperand(i)->getType() != type) {
      return false;
    }
  }
  return true;
}

bool lower_call(llvm::CallInst& call, const Match& match) {
  if (!operands_fit(call, *match.row)) {
    return false;
  }
  Lowering lowering(call, *match.row, match.suffix, match.is_fast);
  llvm::Value* result = match.row->lower(lowering);
  if (result == nullptr) {
    return false;
  }
  if (!call.getType()->isVoidTy()) {
    if (auto* instruction = llvm::dyn_cast<llvm::Instruction>(result);
        instruction != nullptr && !instruction->hasName()) {
      instruction->takeName(&call);
    }
    call.replaceAllUsesWith(result);
  }
  call.eraseFromParent();
  return true;
}

} // namespace

bool is_cross_lane(std::string_view name) {
  StringRef rest = name;
  if (!rest.consume_front("air.")) {
    return false;
  }
  rest.consume_front("fast_");
  static constexpr StringRef prefixes[] = {
      "simd_",
      "quad_",
      "simdgroup_matrix",
      "simdgroup.barrier",
      "wg.barrier",
      "simd.",
      "quad.",
      "simdgroup_barrier",
      "simdgroup_async_copy",
      "wait_simdgroup_events",
      "get_simdgroup_size",
      "get_quadgroup_size",
      "get_thread_index_in_simdgroup",
  };
  return llvm::any_of(prefixes, [&](StringRef prefix) { return rest.starts_with(prefix); });
}

bool has_lowering(std::string_view name) {
  return find_row(name).has_value();
}

std::vector<std::string> lower_intrinsics(llvm::Module& module) {
  std::vector<std::string> unhandled;
  llvm::SmallVector<llvm::Function*, 32> declarations;
  for (llvm::Function& function : module) {
    if (function.isDeclaration() && function.getName().starts_with("air.") &&
        !is_cross_lane(function.getName())) {
      declarations.push_back(&function);
    }
  }
  for (llvm::Function* function : declarations) {
    const std::optional<Match> match = find_row(function->getName());
    bool complete = match.has_value();
    if (match) {
      for (llvm::User* user : llvm::make_early_inc_range(function->users())) {
        auto* call = llvm::dyn_cast<llvm::CallInst>(user);
        complete &=
            call != nullptr && call->getCalledFunction() == function && lower_call(*call, *match);
      }
    }
    if (function->use_empty()) {
      function->eraseFromParent();
    } else if (!complete) {
      unhandled.push_back(function->getName().str());
    }
  }
  // Only a broken build of this program gets here with an error.
  llvm::cantFail(link_maths_library(module), "metalwright: maths library");
  std::sort(unhandled.begin(), unhandled.end());
  return unhandled;
}

} // namespace metalwright::simt
