// The compilation target as Clang sees it: AIR's data layout, address spaces and number types.
#include "msl/target.h"

#include <clang/Basic/AddressSpaces.h>
#include <clang/Basic/Builtins.h>
#include <clang/Basic/MacroBuilder.h>
#include <clang/Basic/TargetOptions.h>

namespace metalwright::msl {
namespace {

// MSL's address spaces are the ones Clang has for SYCL, because those are real types that convert
// implicitly to the unqualified one: methods, copies and templates work on all of them, and
// overloads by address space are kept apart. `constant` borrows sycl_private, which is otherwise
// unused: sycl_global_host would convert to sycl_global.
struct AirAddressSpaces {
  clang::LangASMap map{};
  constexpr AirAddressSpaces() {
    map[static_cast<unsigned>(clang::LangAS::sycl_global)] = kDeviceSpace;
    map[static_cast<unsigned>(clang::LangAS::sycl_global_device)] = kDeviceSpace;
    map[static_cast<unsigned>(clang::LangAS::sycl_private)] = kConstantSpace;
    map[static_cast<unsigned>(clang::LangAS::sycl_local)] = kThreadgroupSpace;
  }
};
constexpr AirAddressSpaces kAddressSpaces;

// TargetInfo keeps its options private and has them set by its factory, which knows Clang's own
// targets only; the writer of precompiled headers needs them. An explicit instantiation may name a
// private member.
template <auto Member> struct TargetOptionsAccess {
  friend std::shared_ptr<clang::TargetOptions>& target_options(clang::TargetInfo& target) {
    return target.*Member;
  }
};
std::shared_ptr<clang::TargetOptions>& target_options(clang::TargetInfo& target);
template struct TargetOptionsAccess<&clang::TargetInfo::TargetOpts>;

class AirTarget final : public clang::TargetInfo {
 public:
  AirTarget() : TargetInfo(llvm::Triple(kAirTriple)) {
    target_options(*this) = std::make_shared<clang::TargetOptions>();
    getTargetOpts().Triple = kAirTriple;
    PointerWidth = PointerAlign = 64;
    LongWidth = LongAlign = 64;
    SizeType = UnsignedLong;
    PtrDiffType = SignedLong;
    IntPtrType = SignedLong;
    IntMaxType = SignedLong;
    Int64Type = SignedLong;
    HasLegalHalfType = true;
    HasFloat16 = true;
    HasBFloat16 = true;
    HasFullBFloat16 = true;
    BFloat16Width = BFloat16Align = 16;
    BFloat16Format = &llvm::APFloat::BFloat();
    TLSSupported = false;
    VLASupported = false;
    NoAsmVariants = true;
    MaxAtomicPromoteWidth = MaxAtomicInlineWidth = 64;
    AddrSpaceMap = &kAddressSpaces.map;
    // Two specialisations that differ in an address space alone must not share a name.
    UseAddrSpaceMapMangling = true;
    resetDataLayout(kAirDataLayout, "");
  }

  void getTargetDefines(const clang::LangOptions&, clang::MacroBuilder&) const override {}
  llvm::ArrayRef<clang::Builtin::Info> getTargetBuiltins() const override { return {}; }
  BuiltinVaListKind getBuiltinVaListKind() const override { return VoidPtrBuiltinVaList; }
  bool validateAsmConstraint(const char*&, ConstraintInfo&) const override { return false; }
  std::string_view getClobbers() const override { return ""; }
  llvm::ArrayRef<const char*> getGCCRegNames() const override { return {}; }
  llvm::ArrayRef<GCCRegAlias> getGCCRegAliases() const override { return {}; }
  bool hasInt128Type() const override { return false; }
  // `half` and `bfloat` are passed and computed as they are, never through float.
  bool useFP16ConversionIntrinsics() const override { return false; }
  const char* getBFloat16Mangling() const override { return "u6__bf16"; }
};

} // namespace

unsigned air_space(clang::QualType type) {
  switch (type.getAddressSpace()) {
  case clang::LangAS::sycl_global:
    return kDeviceSpace;
  case clang::LangAS::sycl_private:
    return kConstantSpace;
  case clang::LangAS::sycl_local:
    return kThreadgroupSpace;
  default:
    return kThreadSpace;
  }
}

clang::LangAS language_space(unsigned space) {
  switch (space) {
  case kDeviceSpace:
    return clang::LangAS::sycl_global;
  case kConstantSpace:
    return clang::LangAS::sycl_private;
  case kThreadgroupSpace:
    return clang::LangAS::sycl_local;
  default:
    return clang::LangAS::Default;
  }
}

clang::TargetInfo* create_air_target() {
  return new AirTarget();
}

} // namespace metalwright::msl
