// Shuffles of two vectors at a time.
#include "simt/transpose.h"

#include <llvm/Support/MathExtras.h>

namespace metalwright::simt {

using llvm::Value;

Value* concatenate(llvm::IRBuilder<>& builder, Parts pieces) {
  while (!llvm::isPowerOf2_64(pieces.size()))
    pieces.push_back(llvm::PoisonValue::get(pieces.front()->getType()));
  while (pieces.size() > 1) {
    Parts joined;
    for (std::size_t i = 0; i < pieces.size(); i += 2) {
      const unsigned half =
          llvm::cast<llvm::FixedVectorType>(pieces[i]->getType())->getNumElements();
      llvm::SmallVector<int, 64> order;
      for (unsigned k = 0; k < 2 * half; ++k)
        order.push_back(static_cast<int>(k));
      joined.push_back(builder.CreateShuffleVector(pieces[i], pieces[i + 1], order));
    }
    pieces = std::move(joined);
  }
  return pieces.front();
}

// Shuffling perfectly, log2 times, does that.
void transpose(llvm::IRBuilder<>& builder, llvm::MutableArrayRef<Value*> rows) {
  const auto count = static_cast<unsigned>(rows.size());
  const unsigned width =
      llvm::cast<llvm::FixedVectorType>(rows.front()->getType())->getNumElements();
  llvm::SmallVector<int, 64> halves[2];
  for (unsigned half = 0; half < 2; ++half)
    for (unsigned i = 0; i < width; ++i) {
      const unsigned within = i % count;
      const unsigned source = i - within + half * count / 2 + within / 2;
      halves[half].push_back(static_cast<int>(within % 2 == 0 ? source : width + source));
    }
  for (unsigned stage = 1; stage < count; stage *= 2) {
    llvm::SmallVector<Value*, 16> shuffled;
    for (unsigned i = 0; i < count / 2; ++i)
      for (const auto& half : halves)
        shuffled.push_back(builder.CreateShuffleVector(rows[i], rows[i + count / 2], half));
    std::copy(shuffled.begin(), shuffled.end(), rows.begin());
  }
}

std::vector<Value*> load_columns(llvm::IRBuilder<>& builder, llvm::FixedVectorType* type,
                                 llvm::ArrayRef<Value*> addresses, llvm::Align align,
                                 llvm::function_ref<void(llvm::Instruction*)> mark) {
  const unsigned count = type->getNumElements();
  std::vector<Value*> rows;
  for (unsigned i = 0; i < count; ++i) {
    Parts pieces;
    for (std::size_t lane = i; lane < addresses.size(); lane += count) {
      llvm::LoadInst* piece = builder.CreateAlignedLoad(type, addresses[lane], align);
      mark(piece);
      pieces.push_back(piece);
    }
    rows.push_back(concatenate(builder, std::move(pieces)));
  }
  transpose(builder, rows);
  return rows;
}

} // namespace metalwright::simt
