// Builds the vector program of a simdgroup from the function of one lane.
//
// A value that is the same for all lanes stays a scalar. Any other is a list of vectors of 32
// elements, one for each scalar that it is made of ("parts": four for a float4). An integer or
// pointer with an exact pattern also has lane 0's value as a scalar. Simdgroup matrices are one
// <64 x T> for the simdgroup, row by row.
//
// A block's code runs only when its mask, a <32 x i1>, has a lane, so scalar code needs no guard.
// What a lane holds that is not in the mask is arbitrary, and may be poison: masks are combined so
// that this does not spread.
#pragma once

#include "simt/convergent_ops.h"
#include "simt/lane_analysis.h"
#include "simt/lane_function.h"
#include "simt/remarks.h"
#include "simt/sites.h"

#include <llvm/IR/IRBuilder.h>

#include <functional>
#include <string>
#include <vector>

namespace metalwright::simt {

// Why a kernel is left to the checked engine. Thrown in this engine's own frames only.
struct Refusal {
  std::string reason;
  std::string file;
  unsigned line = 0;
};
[[noreturn]] void refuse(const llvm::Instruction& instruction, std::string reason);

// Waits for the threadgroup's other simdgroups: (simdgroup, site, mask of the lanes that are there,
// mask of all lanes).
inline constexpr const char* kSimdgroupBarrierFunction = "metalwright.simdgroup_barrier";
// void (state, threadgroup, site): the simdgroup ends, and some lanes wait at a barrier that others
// do not come to.
inline constexpr const char* kSimdgroupDivergedFunction = "metalwright.simdgroup_diverged";

using Parts = llvm::SmallVector<llvm::Value*, 4>;

class VectorBuilder {
 public:
  VectorBuilder(llvm::Function& source, const LaneAnalysis& lanes, const llvm::LoopInfo& loops,
                const Shape& shape, const char* name);

  // Throws Refusal.
  llvm::Function* build();
  std::vector<Site>& sites() { return sites_; }
  bool has_barrier() const { return has_barrier_; }
  Remarks& remarks() { return remarks_; }

 private:
  static constexpr unsigned kLanes = 32;
  using Node = Schedule::Node;

  // ---- values (vector_builder.cpp)
  llvm::Value* scalar(const llvm::Value* value);
  Parts parts(const llvm::Value* value);
  llvm::Value* part(const llvm::Value* value);
  bool is_varying(const llvm::Value* value) const { return lanes_.is_varying(value); }
  // Lane 0's value, for exact patterns and uniform values.
  llvm::Value* first(const llvm::Value* value);
  // The value in lane `lane` (constant or not), for any pattern of a whole simdgroup.
  llvm::Value* in_lane(const llvm::Value* value, llvm::Value* lane);
  llvm::Value* offset_of(const Pattern& pattern, llvm::Value* lane, llvm::Type* type);
  void set_scalar(const llvm::Value* value, llvm::Value* result) { scalars_[value] = result; }
  void set_parts(const llvm::Value* value, Parts result) { parts_[value] = std::move(result); }
  llvm::Value* splat(llvm::Value* value);
  llvm::FixedVectorType* wide(llvm::Type* element) const {
    return llvm::FixedVectorType::get(element, kLanes);
  }
  llvm::AllocaInst* slot(llvm::Type* type);
  llvm::Value* spill(llvm::Value* vector); // memory of a vector of 32, for access by lane
  llvm::Constant* offsets_vector(const Pattern& pattern, llvm::Type* element);

  void note(const llvm::Instruction& instruction, std::string text) {
    remarks_.push_back(remark_at(instruction.getDebugLoc(), std::move(text)));
  }

  // ---- masks
  llvm::Value* mask() const { return mask_; }
  bool is_full_mask() const;
  llvm::Value* mask_bits();  // i32
  llvm::Value* first_lane(); // i32: the first that runs
  llvm::Value* all_lanes();  // i32
  llvm::Value* both(llvm::Value* mask, llvm::Value* condition);
  llvm::Value* any(llvm::Value* mask);
  // The mask of a comparison that holds for the first lanes up to some one, or null.
  llvm::Value* mask_of_first_lanes(const llvm::ICmpInst& compare);

  // ---- control (vector_control.cpp)
  void declare();
  void build_block(llvm::BasicBlock& block);
  void build_way_back(llvm::BasicBlock& latch);
  void build_test(Node node);
  void enter_block(llvm::BasicBlock& block);
  void leave_block(llvm::BasicBlock& block);
  void take_edge(llvm::BasicBlock& from, llvm::BasicBlock& to, llvm::Value* lanes);
  void go(Schedule::Step step);
  llvm::BasicBlock* place_of(Schedule::Step step);
  bool needs_waiting_mask(Node node) const;
  llvm::AllocaInst* waiting_mask(Node node);
  void build_phi_slots();
  void repair_ssa();
  // Runs `body` for each lane of the mask, in order. What it gives is collected in a vector of
  // `type` (null: nothing).
  llvm::Value* for_each_lane(llvm::Type* type,
                             const std::function<llvm::Value*(llvm::Value* lane)>& body);

  // ---- instructions (vector_operations.cpp)
  void build_instruction(llvm::Instruction& instruction);
  void build_uniform(llvm::Instruction& instruction);
  void build_pattern(llvm::Instruction& instruction, const Pattern& pattern);
  void build_varying(llvm::Instruction& instruction);
  void build_element_wise(llvm::Instruction& instruction);
  void build_division(llvm::BinaryOperator& division);
  void build_bit_cast(llvm::BitCastInst& cast);
  void build_address(llvm::GetElementPtrInst& address);
  void build_call(llvm::CallInst& call);
  void build_by_lane(llvm::Instruction& instruction);

  // ---- memory (vector_memory.cpp)
  void build_load(llvm::LoadInst& load);
  void build_store(llvm::StoreInst& store);
  struct Access;
  std::optional<Access> describe(const llvm::Instruction& instruction, llvm::Type* type,
                                 const llvm::Value* pointer, llvm::Align align);
  // The address that lane 0 has by the pattern, from a lane that runs.
  llvm::Value* base_address(const llvm::Value* pointer);
  Parts load_span(const Access& access, llvm::Value* base, unsigned begin, unsigned count);
  Parts load_few(const Access& access, llvm::Value* base);
  bool store_span(const Access& access, llvm::Value* base, unsigned begin, unsigned count,
                  const Parts& values);
  llvm::Value* element_mask(const Access& access, const struct Span& span);
  Parts gather(llvm::Value* addresses, const Access& access);
  bool scatter(llvm::Value* addresses, const Access& access, const Parts& values);

  // Asks for the memory that this simdgroup is going to access some rounds or threadgroups later.
  void prefetch(const llvm::Instruction& instruction, const Access& access, llvm::Value* base);

  // ---- memory that each lane has a piece of (vector_rows.cpp)
  static bool is_in_rows(const Access& access);
  using LaneAddresses = llvm::SmallVector<llvm::Value*, kLanes>;
  LaneAddresses lane_addresses(const llvm::Value* pointer);
  Parts load_rows(const llvm::Value* pointer, const Access& access);
  void store_rows(const LaneAddresses& addresses, const Access& access, const Parts& values);

  // ---- cross-lane operations (vector_cross_lane.cpp)
  void build_cross_lane(llvm::CallInst& call, const ConvergentOp& op);
  void build_barrier(llvm::CallInst& call);
  void build_reduction(llvm::CallInst& call, llvm::StringRef operation, llvm::StringRef type,
                       unsigned width);
  void build_scan(llvm::CallInst& call, llvm::StringRef operation, llvm::StringRef type,
                  unsigned width);
  void build_vote(llvm::CallInst& call, llvm::StringRef operation, unsigned width);
  void build_movement(llvm::CallInst& call, llvm::StringRef operation, unsigned width);
  llvm::Value* permute(llvm::Value* vector, llvm::Value* sources);
  llvm::Value* active_at(llvm::Value* sources);

  // ---- matrices (vector_matrix.cpp)
  bool build_matrix_instruction(llvm::Instruction& instruction);
  void build_matrix_op(llvm::CallInst& call, const ConvergentOp& op);
  llvm::SmallVector<llvm::CallInst*, 4> products_with(llvm::CallInst& call, const ConvergentOp& op);
  void build_products(llvm::CallInst& call, const ConvergentOp& op);
  void build_matrix_variable(llvm::AllocaInst& variable);
  llvm::Value* matrix(const llvm::Value* value);
  Parts own_elements(const llvm::Value* value); // the two of each lane
  // The matrix `rest` with the lanes' own elements in it; null: that of `rest` stays.
  void set_own_elements(llvm::Instruction& instruction, llvm::Value* rest, const Parts& elements);
  void require_whole_simdgroup(const llvm::Instruction& instruction);

  llvm::Function& source_;
  const LaneAnalysis& lanes_;
  const Schedule& schedule_;
  const llvm::LoopInfo& loops_;
  const Shape shape_;
  bool is_full_; // all 32 lanes are there
  const char* name_;
  llvm::Module& module_;
  llvm::LLVMContext& context_;
  const llvm::DataLayout& layout_;
  llvm::IRBuilder<> builder_;
  llvm::Function* function_ = nullptr;
  llvm::BasicBlock* entry_ = nullptr; // allocas and constants of the whole run
  llvm::Value* initial_mask_ = nullptr;
  llvm::Value* mask_ = nullptr;      // of the block that is being built
  llvm::Value* mask_bits_ = nullptr; // the same as i32, once somebody asked
  llvm::Value* first_lane_ = nullptr;
  llvm::DenseMap<const llvm::Value*, llvm::Value*> scalars_;
  llvm::DenseMap<const llvm::Value*, llvm::Value*> firsts_;
  llvm::DenseMap<const llvm::Value*, Parts> parts_;
  llvm::DenseMap<const llvm::BasicBlock*, llvm::Value*> masks_;
  // Of the block that is being built: the addresses of each lane, by what the pointers come from.
  llvm::DenseMap<const llvm::Value*, LaneAddresses> row_addresses_;
  std::vector<llvm::BasicBlock*> run_;           // by node: where its code starts
  std::vector<llvm::BasicBlock*> test_;          // by node, null until it is needed
  std::vector<llvm::AllocaInst*> waiting_masks_; // by node
  std::vector<llvm::AllocaInst*> slots_;
  llvm::DenseMap<const llvm::BasicBlock*, const llvm::BasicBlock*> origin_; // of new blocks
  struct PhiSlots {
    llvm::AllocaInst* scalar = nullptr; // uniform, matrix or lane 0's value
    llvm::SmallVector<llvm::AllocaInst*, 4> parts;
  };
  llvm::DenseMap<const llvm::PHINode*, PhiSlots> phis_;
  std::vector<Site> sites_;
  bool has_barrier_ = false;
  Remarks remarks_;
};

// The scalars that a value of the type is made of, in the order of its parts.
void collect_leaves(llvm::Type* type, llvm::SmallVectorImpl<llvm::Type*>& leaves);
unsigned count_leaves(llvm::Type* type);

} // namespace metalwright::simt
