// Textures: air.read_texture_2d.v4f32 and its siblings to calls of the run time (cpu/texture.h).
#include "simt/lowering.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/IR/Module.h>

#include <array>

namespace metalwright::simt {

using llvm::FixedVectorType;
using llvm::StringRef;
using llvm::Type;
using llvm::Value;

namespace {

// "sample_texture_2d_array" in parts.
struct TextureCall {
  StringRef operation; // "sample"
  bool is_depth = false;
  bool is_array = false;
  unsigned dimensions = 0;
  bool is_buffer = false;
  bool has_gradient = false;
};

bool parse(StringRef family, TextureCall& result) {
  std::size_t at = family.find("_texture_");
  if (at == StringRef::npos) {
    at = family.find("_depth_");
    result.is_depth = true;
  }
  if (at == StringRef::npos)
    return false;
  result.operation = family.take_front(at);
  StringRef kind = family.drop_front(at + (result.is_depth ? 7 : 9));
  result.is_buffer = kind.consume_front("buffer_");
  result.has_gradient = kind.consume_back("_grad");
  result.is_array = kind.consume_back("_array");
  result.dimensions = kind == "1d" ? 1 : kind == "2d" ? 2 : kind == "3d" ? 3 : 0;
  return result.dimensions != 0;
}

// Takes a call's arguments one after the other and gives what the run time takes.
class Builder {
 public:
  explicit Builder(Lowering& lowering) : l_(lowering), b_(lowering.builder) {}

  Value* build(const TextureCall& texture) {
    if (l_.argument_count() == 0 || !l_.argument(0)->getType()->isPointerTy())
      return nullptr;
    texture_ = l_.argument(next_++);
    const StringRef operation = texture.operation;
    if (operation == "get_sampler_state") // csrc/msl's own, of a sampler
      return l_.type()->isIntegerTy(64) ? state_of(texture_) : nullptr;
    if (operation == "read")
      return read(texture);
    if (operation == "write")
      return write(texture);
    if (operation == "sample")
      return sample(texture);
    if (operation == "gather" && texture.dimensions == 2)
      return gather(texture);
    if (operation == "fence" && l_.type()->isVoidTy())
      return Value_unused();
    static constexpr std::pair<StringRef, unsigned> sizes[] = {
        {"get_width", 0},      {"get_height", 1},         {"get_depth", 2},
        {"get_array_size", 3}, {"get_num_mip_levels", 4},
    };
    for (const auto& [name, what] : sizes)
      if (operation == name && l_.type()->isIntegerTy()) {
        Value* level = l_.argument_count() > next_ ? integer(take()) : b_.getInt32(0);
        if (!level)
          return nullptr;
        Value* size = call("size", b_.getInt32Ty(), {texture_, b_.getInt32(what), level}, true);
        return b_.CreateZExtOrTrunc(size, l_.type());
      }
    return nullptr;
  }

 private:
  // A result of type void has no value; any value stands for "done".
  Value* Value_unused() { return b_.getInt32(0); }

  Value* take() { return next_ < l_.argument_count() ? l_.argument(next_++) : nullptr; }
  Value* peek() const { return next_ < l_.argument_count() ? l_.argument(next_) : nullptr; }

  Value* integer(Value* value) {
    if (!value || !value->getType()->isIntegerTy())
      return nullptr;
    return b_.CreateZExtOrTrunc(value, b_.getInt32Ty());
  }

  // `count` numbers from a scalar or a vector, three in all.
  bool coordinates(unsigned count, Type* scalar, std::array<Value*, 3>& result) {
    result.fill(llvm::Constant::getNullValue(scalar));
    Value* value = take();
    if (!value ||
        value->getType()->getScalarType()->isFloatingPointTy() != scalar->isFloatingPointTy())
      return false;
    auto* vector = llvm::dyn_cast<FixedVectorType>(value->getType());
    if ((vector ? vector->getNumElements() : 1) != count)
      return false;
    for (unsigned i = 0; i < count; ++i) {
      Value* element = vector ? b_.CreateExtractElement(value, i) : value;
      if (scalar->isFloatingPointTy()) {
        if (!element->getType()->isFloatTy())
          return false;
      } else if (!element->getType()->isIntegerTy()) {
        return false;
      } else {
        element = b_.CreateZExtOrTrunc(element, scalar);
      }
      result[i] = element;
    }
    return true;
  }

  // The state of a sampler: Apple's compiler passes its address, ours the number.
  Value* sampler() {
    Value* value = take();
    if (!value)
      return nullptr;
    if (value->getType()->isIntegerTy(64))
      return value;
    return value->getType()->isPointerTy() ? state_of(value) : nullptr;
  }
  // By a call, because the memory is not the kernel's: the sanitiser does not know it.
  Value* state_of(Value* sampler) {
    return call("sampler_state", b_.getInt64Ty(), {sampler}, true);
  }

  llvm::CallInst* call(const char* name, Type* result, llvm::ArrayRef<Value*> arguments,
                       bool reads) {
    llvm::SmallVector<Type*, 12> types;
    for (Value* argument : arguments)
      types.push_back(argument->getType());
    llvm::FunctionCallee callee = l_.call.getModule()->getOrInsertFunction(
        (llvm::Twine(kTexturePrefix) + name).str(), llvm::FunctionType::get(result, types, false));
    auto* function = llvm::cast<llvm::Function>(callee.getCallee());
    function->setDoesNotThrow();
    function->addFnAttr(llvm::Attribute::WillReturn);
    if (reads)
      function->setOnlyReadsMemory();
    return b_.CreateCall(callee, arguments);
  }

  // Four 32-bit words, two at a time, as the call's own type.
  Value* texel(const char* name, llvm::SmallVector<Value*, 12> arguments) {
    Type* type = l_.type();
    auto* structure = llvm::dyn_cast<llvm::StructType>(type);
    if (structure && structure->getNumElements() != 2)
      return nullptr;
    Type* texel_type = structure ? structure->getElementType(0) : type;
    auto* vector = llvm::dyn_cast<FixedVectorType>(texel_type);
    Type* scalar = texel_type->getScalarType();
    const bool known = scalar->isFloatTy() || scalar->isHalfTy() || scalar->isIntegerTy(32) ||
                       scalar->isIntegerTy(16);
    if (!known || (vector && vector->getNumElements() != 4))
      return nullptr;
    Value* result = llvm::PoisonValue::get(texel_type);
    arguments.push_back(nullptr);
    for (unsigned half = 0; half < (vector ? 2u : 1u); ++half) {
      arguments.back() = b_.getInt32(half);
      Value* pair = call(name, b_.getInt64Ty(), arguments, true);
      for (unsigned i = 0; i < 2; ++i) {
        Value* word = b_.CreateTrunc(i == 0 ? pair : b_.CreateLShr(pair, 32), b_.getInt32Ty());
        if (scalar->isIntegerTy(16))
          word = b_.CreateTrunc(word, scalar);
        else if (scalar->isFloatingPointTy())
          word = l_.from_float(b_.CreateBitCast(word, b_.getFloatTy()), scalar);
        if (!vector) {
          result = word;
          break;
        }
        result = b_.CreateInsertElement(result, word, half * 2 + i);
      }
    }
    if (!structure)
      return result;
    // The second member says whether the memory is resident.
    Value* whole = b_.CreateInsertValue(llvm::PoisonValue::get(structure), result, 0);
    return structure->getElementType(1)->isIntegerTy()
               ? b_.CreateInsertValue(whole,
                                      llvm::ConstantInt::get(structure->getElementType(1), 1), 1)
               : nullptr;
  }

  Value* read(const TextureCall& texture) {
    const bool has_sampler = peek() && peek()->getType()->isPointerTy();
    if (has_sampler)
      take();
    std::array<Value*, 3> at{};
    if (!coordinates(texture.dimensions, b_.getInt32Ty(), at))
      return nullptr;
    Value* layer = texture.is_array ? integer(take()) : b_.getInt32(0);
    if (has_sampler && !texture.is_buffer) {
      std::array<Value*, 3> offset{};
      if (!coordinates(texture.dimensions, b_.getInt32Ty(), offset))
        return nullptr;
      for (unsigned i = 0; i < texture.dimensions; ++i)
        at[i] = b_.CreateAdd(at[i], offset[i]);
    }
    Value* level = next_ + 1 < l_.argument_count() ? integer(take()) : b_.getInt32(0);
    if (!layer || !level)
      return nullptr;
    return texel("read", {texture_, at[0], at[1], at[2], layer, level});
  }

  Value* write(const TextureCall& texture) {
    std::array<Value*, 3> at{};
    if (!coordinates(texture.dimensions, b_.getInt32Ty(), at))
      return nullptr;
    Value* layer = texture.is_array ? integer(take()) : b_.getInt32(0);
    Value* value = take();
    auto* vector = value ? llvm::dyn_cast<FixedVectorType>(value->getType()) : nullptr;
    if (!vector || vector->getNumElements() != 4 || !l_.type()->isVoidTy())
      return nullptr;
    Type* scalar = vector->getElementType();
    Value* words[4];
    for (unsigned i = 0; i < 4; ++i) {
      Value* element = b_.CreateExtractElement(value, i);
      if (scalar->isFloatTy() || scalar->isHalfTy())
        element = b_.CreateBitCast(l_.to_float(element), b_.getInt32Ty());
      else if (scalar->isIntegerTy(16) && llvm::is_contained(l_.suffix, "s"))
        element = b_.CreateSExt(element, b_.getInt32Ty());
      else if (scalar->isIntegerTy(16) || scalar->isIntegerTy(32))
        element = b_.CreateZExt(element, b_.getInt32Ty());
      else
        return nullptr;
      words[i] = b_.CreateZExt(element, b_.getInt64Ty());
    }
    Value* level = next_ + 1 < l_.argument_count() ? integer(take()) : b_.getInt32(0);
    if (!layer || !level)
      return nullptr;
    call("write", b_.getVoidTy(),
         {texture_, at[0], at[1], at[2], layer, level,
          b_.CreateOr(words[0], b_.CreateShl(words[1], 32)),
          b_.CreateOr(words[2], b_.CreateShl(words[3], 32))},
         false);
    return Value_unused();
  }

  // sampler, coordinates, [layer,] has offset, offset
  bool sampled_place(const TextureCall& texture, Value*& state, std::array<Value*, 3>& at,
                     Value*& layer) {
    state = sampler();
    if (!state || !coordinates(texture.dimensions, b_.getFloatTy(), at))
      return false;
    layer = texture.is_array ? integer(take()) : b_.getInt32(0);
    return layer != nullptr;
  }
  bool offsets(const TextureCall& texture, std::array<Value*, 3>& offset) {
    return integer(take()) && coordinates(texture.dimensions, b_.getInt32Ty(), offset);
  }

  Value* sample(const TextureCall& texture) {
    Value *state = nullptr, *layer = nullptr;
    std::array<Value*, 3> at{}, offset{};
    if (!sampled_place(texture, state, at, layer))
      return nullptr;
    Value* lod = llvm::ConstantFP::get(b_.getFloatTy(), 0.0);
    if (texture.has_gradient) {
      // Of one mip level there is no other to choose; the gradients tell nothing more.
      next_ += 2;
      if (!peek() || !peek()->getType()->isFloatTy())
        return nullptr;
      take();
      if (!offsets(texture, offset))
        return nullptr;
    } else {
      if (!offsets(texture, offset))
        return nullptr;
      Value* has_lod = take();
      Value* given = take();
      if (!has_lod || !has_lod->getType()->isIntegerTy() || !given ||
          !given->getType()->isFloatTy())
        return nullptr;
      lod = given;
    }
    return texel("sample", {texture_, state, at[0], at[1], at[2], layer, offset[0], offset[1],
                            offset[2], lod});
  }

  Value* gather(const TextureCall& texture) {
    Value *state = nullptr, *layer = nullptr;
    std::array<Value*, 3> at{}, offset{};
    if (!sampled_place(texture, state, at, layer) || !offsets(texture, offset))
      return nullptr;
    // A depth texture has one component and none to choose.
    Value* component = texture.is_depth ? b_.getInt32(0) : integer(take());
    if (!component)
      return nullptr;
    return texel("gather", {texture_, state, at[0], at[1], layer, offset[0], offset[1], component});
  }

  Lowering& l_;
  llvm::IRBuilder<>& b_;
  Value* texture_ = nullptr;
  unsigned next_ = 0;
};

} // namespace

bool is_texture_family(StringRef family) {
  TextureCall ignored;
  return parse(family, ignored);
}

Value* lower_texture(Lowering& lowering) {
  TextureCall texture;
  StringRef family = lowering.call.getCalledFunction()->getName().split('.').second;
  return parse(family.split('.').first, texture) ? Builder(lowering).build(texture) : nullptr;
}

} // namespace metalwright::simt
