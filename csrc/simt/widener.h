// The class behind widen_threadgroups.h: what differs (widener.cpp), memory (widen_memory.cpp),
// operations (widen_operations.cpp).
#pragma once

#include "simt/launch.h"
#include "simt/steps.h"
#include "simt/thread_arguments.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/DenseSet.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicInst.h>

#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace metalwright::simt {

// Writes a program once more, instruction by instruction.
class Widener {
  using Instruction = llvm::Instruction;
  using Value = llvm::Value;

 public:
  // `function` may be spoiled.
  // `is_interleaved`: threadgroup memory, whose elements have one size then.
  Widener(llvm::Function& function, const ThreadgroupLayout& layout, unsigned width,
          bool is_interleaved)
      : function_(function), width_(width), is_interleaved_(is_interleaved),
        variables_(layout.variables), stride_(layout.stride()),
        layout_(function.getParent()->getDataLayout()), builder_(function.getContext()) {}

  // The new function; null if there is none.
  llvm::Function* run();

 private:
  // There is no new program.
  void fail() { failed_ = true; }

  // ------------------------------------------------------------------ what differs

  bool find_sources();

  // By how much a value is more in each threadgroup than in the one before.
  std::optional<std::int64_t> step(Value* value) { return steps_->of(value); }

  // The variable that a pointer leads into, or the load of the address of threadgroup memory, if
  // that is laid out like one.
  Instruction* variable_of(Value* pointer) const;

  static bool is_masked_access(const Instruction& instruction);

  void find_varying();

  bool is_varying(Value* value) const {
    auto* instruction = llvm::dyn_cast<Instruction>(value);
    return instruction && varying_.contains(instruction);
  }

  // True if there was a branch at which threadgroups part, which is none any more.
  bool flatten_one();

  // ------------------------------------------------------------------ the new program

  void emit();

  // As it is: of the first threadgroup, where a value differs by a step.
  void copy(Instruction& original);

  Value* base(Value* value) const;

  static unsigned count_of(llvm::Type* type);
  llvm::Type* wide_type(llvm::Type* type) const {
    return llvm::FixedVectorType::get(type->getScalarType(), width_);
  }

  // Where the builder has to be for what follows from a value of the new program alone.
  void go_behind(Value* value);

  // Element `lane` of a vector of lanes of the first threadgroup, or the value itself. Addresses
  // are computed as numbers: most of what they are made from is the same for all lanes.
  Value* element(Value* vector, unsigned lane);

  // What is the same for all threadgroups, of lane `lane`, where that is computed best as vectors:
  // a mask is a comparison of vectors.
  Value* wide_mask(Value* mask, unsigned lane);

  // Lane `lane` of a value, of all threadgroups.
  Value* wide(Value* value, unsigned lane);

  llvm::Constant* offsets(llvm::Type* type, std::int64_t by) const;

  // ------------------------------------------------------------------ phis

  void start(llvm::PHINode& phi);

  void finish(llvm::PHINode& phi);

  // ------------------------------------------------------------------ what is put aside

  bool is_aside(Instruction& instruction) const;

  // Elements of all threadgroups lie side by side: every distance is so many times as long.
  void emit_aside(Instruction& instruction);

  // Which of the kernel's threadgroup variables a pointer leads into, if that is its memory.
  std::size_t part_of(Value* pointer, const Instruction& root);

  // The elements of each variable that is put aside: the largest that lie in it.
  void find_sizes();

  // In bytes.
  std::uint64_t size_at(Value* pointer);

  // Elements of another size do not lie where they are looked for.
  void require_size(Value* pointer, std::uint64_t size);

  // How far behind the start of an element of `size` bytes a pointer into its variable leads.
  std::optional<std::uint64_t> place_within(Value* pointer, std::uint64_t size) const;

  // Lanes that read each other's, as a permutation does.
  void place_lanes(llvm::GetElementPtrInst& address, Value& from);

  // ------------------------------------------------------------------ memory

  // Where an element of all threadgroups lies: side by side from `first` on, or at `all`.
  struct Place {
    Value* first = nullptr;
    Value* all = nullptr;
    bool is_common = false; // one place for all
  };

  // Of the element `index` of what lies at `pointer`, or at lane `lane` of a vector of pointers.
  Place place_of(Value* pointer, llvm::Type* type, unsigned index, unsigned lane);

  // Of a mask that is put aside: a bit for each threadgroup.
  Value* place_of_bits(Instruction& access, Value* pointer, unsigned lane);

  static bool is_all_true(Value* mask) {
    const auto* constant = llvm::dyn_cast<llvm::Constant>(mask);
    return constant && constant->isAllOnesValue();
  }

  // `mask`: of all threadgroups.
  Value* load(const Place& place, llvm::Type* type, llvm::Align align, Value* mask,
              Value* otherwise, const Instruction& original);

  // All threadgroups do it or none. A masked load of memory that is not there is slow even if the
  // mask is empty: the launch's memory is read instead.
  Value* load_if(Value* condition, Place place, llvm::Type* type, llvm::Align align,
                 llvm::IntrinsicInst& call, unsigned lane);

  void store(const Place& place, Value* value, llvm::Align align, Value* mask);

  // Lanes that lie side by side in memory would be gathered one by one.
  // Those of a threadgroup's own memory are, if there are few: sums of simdgroups.
  void refuse_lanes(const Place& place, unsigned count, Value* pointer);

  llvm::Constant* all_true() {
    return llvm::ConstantInt::getTrue(llvm::FixedVectorType::get(builder_.getInt1Ty(), width_));
  }

  static bool is_const_false(Value* mask);

  bool widen_memory(Instruction& instruction);

  bool has_bits(llvm::Type* type) const {
    return type->getScalarSizeInBits() % 8 != 0 && !type->getScalarType()->isPointerTy();
  }

  // Of a single element.
  llvm::Align align_of(llvm::Align given, llvm::Type* type, unsigned count) const;

  // ------------------------------------------------------------------ operations

  void set(Instruction& instruction, unsigned lane, Value* value);

  void widen(Instruction& instruction);

  Value* element_of(Instruction& instruction, unsigned lane);

  void widen_movement(Instruction& instruction);

  Value* lane_number(Value* index, unsigned lane) {
    return llvm::ConstantInt::get(wide_type(index->getType()), lane);
  }

  // The element of a vector that each threadgroup's index names.
  Value* own_element(Value* vector, Value* index);

  // Masks as numbers, numbers as masks, and what only changes the type.
  void widen_bits(Instruction& instruction);

  // Whether any lane, or all of them, have it.
  bool widen_vote(llvm::ICmpInst& comparison);

  void widen_call(llvm::CallInst& call);

  // The machine's instruction, of sixteen lanes with all of them.
  void widen_scaling(llvm::CallInst& call);

  llvm::Function& function_;
  const unsigned width_; // threadgroups
  const bool is_interleaved_;
  llvm::ArrayRef<std::pair<llvm::GlobalVariable*, std::uint64_t>> variables_; // with their places
  const std::uint64_t stride_;
  const llvm::DataLayout& layout_;
  llvm::IRBuilder<> builder_;
  llvm::DenseMap<Instruction*, std::int64_t> positions_;
  llvm::DenseMap<Instruction*, std::int64_t> steps_known_;
  std::optional<Steps> steps_;
  llvm::DenseSet<Instruction*> varying_;
  llvm::DenseSet<Instruction*> memories_; // loads of the address of interleaved memory
  llvm::DenseSet<Instruction*> aside_;    // what is there differs
  llvm::Function* made_ = nullptr;
  llvm::DenseMap<llvm::BasicBlock*, llvm::BasicBlock*> blocks_;
  llvm::DenseMap<Value*, Value*> base_;              // common, or of the first threadgroup
  llvm::DenseMap<Value*, std::vector<Value*>> wide_; // by lane
  llvm::DenseMap<Value*, Value*> places_;            // pointers into variables that differ
  std::map<std::pair<Instruction*, std::size_t>, std::uint64_t>
      sizes_;                   // of the elements in them, in bytes
  std::uint64_t put_aside_ = 0; // bytes
  unsigned apart_ = 0;          // lanes
  bool failed_ = false;
};

} // namespace metalwright::simt
