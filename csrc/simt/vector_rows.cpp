// Loads and stores of several elements at an address of each lane's own: each lane's piece of
// memory whole, and a transposition in registers. A machine gathers one element after the other,
// for half the speed of loads or less; here a load brings 16 bytes.
#include "simt/vector_access.h"

#include <llvm/IR/Module.h>
#include <llvm/Support/MathExtras.h>

namespace metalwright::simt {

using llvm::Value;

static constexpr unsigned kPiece = 16; // bytes, of a register that every machine has

bool VectorBuilder::is_in_rows(const Access& access) {
  return access.leaves > 1 && access.leaves * access.size % kPiece == 0;
}

// Lanes that do not run have the address of one that does.
VectorBuilder::LaneAddresses VectorBuilder::lane_addresses(const Value* pointer) {
  llvm::APInt constant(64, 0);
  const Value* root = pointer->stripAndAccumulateConstantOffsets(layout_, constant, true);
  if (!is_varying(root)) {
    root = pointer;
    constant = 0;
  }
  LaneAddresses& known = row_addresses_[root];
  if (known.empty()) {
    const Pattern& pattern = lanes_.pattern(root);
    if (is_full_mask() && pattern.group == kLanes) {
      Value* base = base_address(root);
      for (const std::int64_t offset : pattern.offset)
        known.push_back(
            builder_.CreateGEP(builder_.getInt8Ty(), base,
                               llvm::ConstantInt::getSigned(builder_.getInt64Ty(), offset)));
    } else {
      Value* all = part(root);
      if (!is_full_mask())
        all = builder_.CreateSelect(mask_, all,
                                    splat(builder_.CreateExtractElement(all, first_lane())));
      for (unsigned lane = 0; lane < kLanes; ++lane)
        known.push_back(builder_.CreateExtractElement(all, lane));
    }
  }
  if (constant.isZero())
    return known;
  LaneAddresses result;
  for (Value* address : known)
    result.push_back(builder_.CreateGEP(builder_.getInt8Ty(), address, builder_.getInt(constant)));
  return result;
}

Parts VectorBuilder::load_rows(const Value* pointer, const Access& access) {
  const unsigned count = kPiece / access.size;
  const unsigned block = std::min(kLanes, 64 / access.size); // lanes of a register
  auto* type = llvm::FixedVectorType::get(access.element, count);
  const llvm::Align align = std::min(access.align, llvm::Align(access.size));
  const LaneAddresses addresses = lane_addresses(pointer);
  Parts results;
  for (unsigned leaf = 0; leaf < access.leaves; leaf += count) {
    llvm::SmallVector<Parts, 16> columns(count);
    for (unsigned begin = 0; begin < kLanes; begin += block) {
      Parts places;
      for (unsigned lane = begin; lane < begin + block; ++lane)
        places.push_back(builder_.CreateConstGEP1_64(builder_.getInt8Ty(), addresses[lane],
                                                     std::uint64_t{leaf} * access.size));
      const std::vector<Value*> loaded = load_columns(
          builder_, type, places, align, [&](llvm::Instruction* piece) { access.mark(piece); });
      for (unsigned i = 0; i < count; ++i)
        columns[i].push_back(loaded[i]);
    }
    for (Parts& column : columns)
      results.push_back(concatenate(builder_, std::move(column)));
  }
  return results;
}

// The lanes must all run, or the code must be reached only if they do.
void VectorBuilder::store_rows(const LaneAddresses& addresses, const Access& access,
                               const Parts& values) {
  const unsigned count = kPiece / access.size;
  const unsigned block = std::min(kLanes, 64 / access.size);
  const llvm::Align align = std::min(access.align, llvm::Align(access.size));
  for (unsigned leaf = 0; leaf < access.leaves; leaf += count)
    for (unsigned begin = 0; begin < kLanes; begin += block) {
      llvm::SmallVector<int, 64> lanes;
      for (unsigned lane = begin; lane < begin + block; ++lane)
        lanes.push_back(static_cast<int>(lane));
      llvm::SmallVector<Value*, 16> rows;
      for (unsigned i = 0; i < count; ++i)
        rows.push_back(builder_.CreateShuffleVector(values[leaf + i], lanes));
      transpose(builder_, rows);
      for (unsigned lane = begin; lane < begin + block; ++lane) {
        llvm::SmallVector<int, 16> piece;
        for (unsigned i = 0; i < count; ++i)
          piece.push_back(static_cast<int>((lane - begin) / count * count + i));
        builder_.CreateAlignedStore(
            builder_.CreateShuffleVector(rows[(lane - begin) % count], piece),
            builder_.CreateConstGEP1_64(builder_.getInt8Ty(), addresses[lane],
                                        std::uint64_t{leaf} * access.size),
            align);
      }
    }
}

} // namespace metalwright::simt
