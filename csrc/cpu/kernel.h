// A kernel, compiled for this machine.
#pragma once

#include "air/entry_points.h"
#include "cpu/fault_place.h"
#include "cpu/grid_job.h"
#include "cpu/loaded_object.h"
#include "cpu/thread_choice.h"
#include "device.h"
#include "simt/kernel_code.h"

#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <optional>

namespace metalwright::cpu {

// An AIR module and what keeps it alive, shared by a library and its kernels. LLVM contexts are for
// one thread at a time.
struct SharedModule {
  std::mutex mutex;
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
  // What it was compiled from; nothing for AIR that came as such.
  std::optional<ProgramSource> source;
};

// Which engine is allowed; for developers, from the environment variable METALWRIGHT_CPU_ENGINE:
// "checked" (always that one), "simdgroup" (that one for every kernel that it takes), or unset.
enum class EngineChoice : std::uint8_t { automatic, checked, simdgroup };
// Throws Error("unknown-engine").
EngineChoice engine_choice();

class CpuKernel final : public Kernel {
 public:
  // `observed`: for the sanitiser. Brings the kernel into one piece. Code is made for each size of
  // threadgroup when it is first dispatched; only code for any size is made here. Called with the
  // module's lock held.
  CpuKernel(std::shared_ptr<SharedModule> shared, const std::string& name,
            const ConstantValues& constants, bool observed = false);
  ~CpuKernel() override;

  const std::string& name() const override { return name_; }
  const std::vector<Argument>& arguments() const override { return arguments_; }
  std::uint64_t max_threads_per_threadgroup() const override { return max_threads_; }
  std::uint64_t thread_execution_width() const override { return simt::kSimdgroupSize; }
  std::uint64_t static_threadgroup_memory() const override { return static_threadgroup_memory_; }
  Timing dispatch(const Dispatch& dispatch) override;
  std::string code(std::string_view stage) override;
  std::string explain() override;

 private:
  struct Specialised;
  // Loaded code, with what an error or explain() says about it.
  struct Variant {
    std::unique_ptr<LoadedObject> object;
    Executable executable;
    std::vector<simt::Site> sites;
    simt::CheckTables checks;  // of an observed kernel
    std::uint64_t period = 0;  // of a loop over threads; see simt/periods.h
    std::string reason;        // why this engine
    bool is_cut = false;       // of all simdgroups in one program: at its barriers
    simt::Remarks remarks;     // without places
    simt::SlotSet streams = 0; // buffers whose stores leave the cache out
    simt::Shape shape;         // what it was made for
  };
  // The code for a dispatch.
  struct Plan {
    simt::Shape shape;
    const Variant* whole = nullptr; // threadgroups of the size that was asked for
    const Variant* edge = nullptr;  // smaller ones; null until one is needed
  };
  Specialised specialise() const;
  simt::Shape usual_shape() const;
  // Those of its buffers whose stores should leave the cache out in this dispatch.
  simt::SlotSet streams(const simt::LaunchContext& launch, const Dispatch& dispatch) const;
  std::string describe_streams(simt::SlotSet streams) const;
  // `is_alone`: see Shape.
  Plan plan(const simt::LaunchContext& launch, const Dispatch& dispatch, bool is_alone);
  // Both with the module's lock held.
  const Variant& variant(const simt::Shape& shape);
  simt::KernelCode lower(const simt::Shape& shape, std::string& reason) const;
  static std::unique_ptr<Variant> load(simt::KernelCode code, const simt::Shape& shape);
  // The same code again; with the module's lock held.
  simt::KernelCode code_for(const simt::Shape& shape) const;
  // Makes the code of a variant once more from its source, with places, and hands it over. False if
  // that is not possible.
  bool with_lines(const Variant& variant, llvm::function_ref<void(simt::KernelCode&)> use) const;
  // What the simdgroup engine says of single accesses and loops, by place in the source.
  std::string describe_remarks(const Variant& variant) const;
  std::optional<SourcePlace> place_of(const Failure& failure) const;
  [[noreturn]] void fail_at(const char* code, std::string message,
                            const std::optional<SourcePlace>& place) const;
  [[noreturn]] void fail(const Failure& failure, const Dispatch& dispatch,
                         const Executable& executable) const;
  std::string describe_address(std::uintptr_t address, const Dispatch& dispatch) const;
  std::string describe_site(unsigned site, const Executable& executable,
                            const std::vector<simt::Site>& sites) const;
  const Variant* variant_of(const Executable& executable) const;

  std::shared_ptr<SharedModule> shared_;
  std::string name_;
  ConstantValues constants_;
  bool observed_;
  EngineChoice choice_;
  std::vector<Argument> arguments_;
  std::uint64_t max_threads_ = 0;
  std::uint64_t static_threadgroup_memory_ = 0;
  // What code for more sizes is made from; empty where the same code serves all.
  std::optional<simt::PreparedKernel> prepared_;
  // Any size: the loop over threads, or the checked engine once it was needed.
  std::unique_ptr<Variant> general_;
  // Of the loop over threads, with nothing known but the stores that leave the cache out.
  std::map<simt::Shape, std::unique_ptr<Variant>> variants_;
  simt::SlotSet only_stored_ = 0;
  mutable std::mutex plan_mutex_;
  Plan last_plan_;                          // under plan_mutex_
  std::atomic<bool> can_be_together_{true}; // until code for several threadgroups could not be made
  // Atomic operations: threads that meet at the same lines may be slower than one alone.
  bool may_contend_ = false;
  bool is_rare_ = false; // on ways that threads do not usually take
  ThreadChoice thread_choice_;
  // Nanoseconds of one thread of the grid on one processor, as measured by earlier dispatches; 0:
  // none.
  std::atomic<float> thread_cost_{0};
};

} // namespace metalwright::cpu
