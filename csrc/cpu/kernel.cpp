// Compiling one kernel, and dispatching it.
#include "cpu/kernel.h"

#include "air/function_constants.h"
#include "cpu/atomic_section.h"
#include "cpu/check_dispatch.h"
#include "cpu/checked_dispatch.h"
#include "cpu/target.h"
#include "errors.h"

#include <llvm/IR/PassInstrumentation.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Transforms/IPO/GlobalDCE.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace metalwright::cpu {

// The kernel's entry point, in a module of its own if function constants had to be set there.
struct CpuKernel::Specialised {
  std::unique_ptr<llvm::Module> module;
  air::EntryPoint entry;
};

static air::EntryPoint find_entry(llvm::Module& module, const std::string& name) {
  std::string known;
  for (air::EntryPoint& entry : air::read_entry_points(module)) {
    if (entry.name == name)
      return std::move(entry);
    if (known.size() < 400)
      known += (known.empty() ? "" : ", ") + entry.name;
  }
  throw Error(errors::no_such_kernel, "there is no kernel '" + name + "' in this library; " +
                                          (known.empty() ? "it has none" : "there are: " + known));
}

CpuKernel::Specialised CpuKernel::specialise() const {
  Specialised result;
  if (!shared_->module->getNamedMetadata("air.function_constants") && constants_.empty()) {
    result.entry = find_entry(*shared_->module, name_);
    return result;
  }
  find_entry(*shared_->module, name_); // the better error comes first
  result.module = llvm::CloneModule(*shared_->module);
  result.entry = find_entry(*result.module, name_);
  air::specialise(*result.module, result.entry, constants_);
  return result;
}

EngineChoice engine_choice() {
  const char* name = std::getenv("METALWRIGHT_CPU_ENGINE");
  if (!name || !*name)
    return EngineChoice::automatic;
  if (std::string_view(name) == "checked")
    return EngineChoice::checked;
  if (std::string_view(name) == "simdgroup")
    return EngineChoice::simdgroup;
  throw Error(errors::unknown_engine, "METALWRIGHT_CPU_ENGINE is '" + std::string(name) +
                                          "': it may be 'checked', 'simdgroup' or unset");
}

CpuKernel::CpuKernel(std::shared_ptr<SharedModule> shared, const std::string& name,
                     const ConstantValues& constants, bool observed)
    : shared_(std::move(shared)), name_(name), constants_(constants), observed_(observed),
      choice_(observed ? EngineChoice::checked : engine_choice()) {
  Specialised specialised = specialise();
  arguments_ = specialised.entry.arguments;
  max_threads_ = specialised.entry.max_total_threads_per_threadgroup;
  simt::PreparedKernel prepared = simt::prepare_kernel(specialised.entry, host_target(), observed_);
  static_threadgroup_memory_ = prepared.layout.size;
  if (static_threadgroup_memory_ > simt::kMaxThreadgroupMemory)
    throw Error(errors::too_much_threadgroup_memory,
                "kernel '" + name_ + "' declares " + std::to_string(static_threadgroup_memory_) +
                    " bytes of threadgroup memory, but there are " +
                    std::to_string(simt::kMaxThreadgroupMemory));
  if (specialised.module) {
    // Its context is shared, the module is not: the kernel keeps nothing of it.
    prepared.entry.conditions.clear();
  }
  only_stored_ = prepared.only_stored;
  may_contend_ = prepared.has_atomics;
  is_rare_ = prepared.has_rare_atomics;
  // A loop inside hinders LLVM's vectoriser, not the simdgroup engine.
  if (prepared.cross_lane.empty() && !prepared.has_loop && choice_ == EngineChoice::automatic) {
    general_ = load(simt::lower_to_loop(std::move(prepared), host_target()), {});
    general_->reason = "it has no loops, no barriers and no simdgroup or quadgroup functions";
    return;
  }
  prepared_ = std::move(prepared);
  if (choice_ == EngineChoice::checked)
    variant({});
}

CpuKernel::~CpuKernel() {
  const std::lock_guard lock(shared_->mutex);
  prepared_.reset();
}

// ------------------------------------------------------------------------------ code

simt::KernelCode CpuKernel::lower(const simt::Shape& shape, std::string& reason) const {
  const bool is_loop = choice_ == EngineChoice::automatic && prepared_->cross_lane.empty();
  reason = observed_ ? "it is compiled for the sanitiser"
           : is_loop ? "it has a loop"
                     : "METALWRIGHT_CPU_ENGINE says so";
  if (is_loop && shape.is_known() && shape.count() < simt::kSimdgroupSize / 2) {
    reason = "a threadgroup of " + std::to_string(shape.count()) + " threads fills no vector";
    return simt::lower_to_loop(simt::copy(*prepared_), host_target());
  }
  if (choice_ != EngineChoice::checked) {
    auto made = simt::lower_to_simdgroups(simt::copy(*prepared_), shape, host_target());
    if (auto* code = std::get_if<simt::KernelCode>(&made)) {
      reason = prepared_->cross_lane.empty() ? reason : "it calls " + prepared_->cross_lane;
      return std::move(*code);
    }
    const auto& refusal = std::get<simt::Refusal>(made);
    reason = "the simdgroup engine does not take " + refusal.reason;
    if (refusal.line != 0)
      reason += " (" + (refusal.file.empty() ? "line " : refusal.file + ":") +
                std::to_string(refusal.line) + ")";
    if (is_loop)
      return simt::lower_to_loop(simt::copy(*prepared_), host_target());
  }
  return simt::lower_to_lanes(simt::copy(*prepared_), host_target());
}

// What is shown before there was a dispatch.
simt::Shape CpuKernel::usual_shape() const {
  simt::Shape shape;
  if (max_threads_ >= simt::kSimdgroupSize)
    shape.threads = {static_cast<std::uint32_t>(std::min<std::uint64_t>(max_threads_, 256) /
                                                simt::kSimdgroupSize * simt::kSimdgroupSize),
                     1, 1};
  shape.one_group = {shape.is_known(), shape.is_known()};
  return shape;
}

std::unique_ptr<CpuKernel::Variant> CpuKernel::load(simt::KernelCode code,
                                                    const simt::Shape& shape) {
  auto variant = std::make_unique<Variant>();
  variant->shape = shape;
  variant->object = std::make_unique<LoadedObject>(emit_object(*code.module), simt::kEntryName);
  variant->executable.entry = variant->object->entry();
  variant->executable.engine = code.engine;
  variant->executable.over_grid = code.over_grid;
  variant->period = code.period;
  variant->executable.has_barrier = code.has_barrier;
  variant->executable.is_joined = code.is_joined;
  variant->executable.threadgroups = code.threadgroups;
  variant->executable.streams = code.streams != 0;
  variant->streams = code.streams;
  variant->is_cut = code.is_cut;
  // Recursion that goes deeper than this meets the guard page.
  variant->executable.stack_size = code.is_recursive ? 256 * 1024 : variant->object->stack_size();
  variant->sites = std::move(code.sites);
  variant->checks = std::move(code.checks);
  variant->remarks = std::move(code.remarks);
  return variant;
}

const CpuKernel::Variant& CpuKernel::variant(const simt::Shape& shape) {
  if (!prepared_ && shape != simt::Shape{}) {
    std::unique_ptr<Variant>& special = variants_[shape];
    if (!special) {
      special = load(code_for(shape), shape);
      special->reason = general_->reason;
    }
    return *special;
  }
  // Code for the whole grid does not go together with code for its edge.
  const bool is_loop = general_ && general_->executable.engine == simt::Engine::vector_loop;
  if (!prepared_ || is_loop || (general_ && choice_ == EngineChoice::checked))
    return *general_;
  if (const auto found = variants_.find(shape); found != variants_.end())
    return *found->second;
  std::string reason;
  simt::KernelCode code = lower(shape, reason);
  std::unique_ptr<Variant> made;
  if (code.engine == simt::Engine::vector_loop) {
    general_ = load(std::move(code), shape);
    general_->reason = reason;
    return *general_;
  }
  if (code.engine == simt::Engine::checked) {
    // One serves every size.
    if (!general_) {
      general_ = load(std::move(code), shape);
      general_->reason = reason;
    }
    if (choice_ == EngineChoice::checked)
      return *general_;
    made = std::make_unique<Variant>();
    made->executable = general_->executable;
    made->sites = general_->sites;
    made->shape = shape;
  } else {
    made = load(std::move(code), shape);
  }
  made->reason = reason;
  if (shape.together != 0 && made->executable.threadgroups == 1) {
    // The code for other grids is the same, and serves all.
    can_be_together_ = false;
    made->shape.together = 0;
    const simt::Shape alone = made->shape;
    return *variants_.try_emplace(alone, std::move(made)).first->second;
  }
  return *variants_.emplace(shape, std::move(made)).first->second;
}

// A result of this size is out of the cache when the next dispatch reads it: 32 MiB is the third
// level of a group of cores of the largest machines, and what virtual machines say of theirs is not
// to be relied on. Stores that leave the cache out save reading what they overwrite.
static constexpr std::uint64_t kLeastStreamed = std::uint64_t{32} << 20;
// No more than so many bytes of a result are expected of one thread of the grid: a small dispatch
// writes a small part of a large buffer.
static constexpr std::uint64_t kMostOfThread = 256;

simt::SlotSet CpuKernel::streams(const simt::LaunchContext& launch,
                                 const Dispatch& dispatch) const {
  const std::uint64_t threads = std::uint64_t{launch.threads_per_grid[0]} *
                                launch.threads_per_grid[1] * launch.threads_per_grid[2];
  if (only_stored_ == 0 || threads < kLeastStreamed / kMostOfThread)
    return 0;
  auto begin = [](const Binding& binding) {
    return reinterpret_cast<std::uintptr_t>(binding.pointer) + binding.offset;
  };
  simt::SlotSet found = 0;
  unsigned slot = 0;
  for (const Argument& argument : arguments_) {
    if (!argument.is_active)
      continue;
    const unsigned own = slot++;
    if (!simt::contains(only_stored_, own))
      continue;
    for (const Binding& binding : dispatch.bindings) {
      if (binding.kind != argument.kind || binding.index != argument.index ||
          binding.length < kLeastStreamed)
        continue;
      // What is read under another name is in the cache already.
      const bool is_apart = std::ranges::all_of(dispatch.bindings, [&](const Binding& other) {
        return &other == &binding || other.kind != ArgumentKind::buffer ||
               begin(other) >= begin(binding) + binding.length ||
               begin(binding) >= begin(other) + other.length;
      });
      if (is_apart)
        found |= simt::SlotSet{1} << own;
    }
  }
  return found;
}

// Threadgroups for each thread of the pool below which it is better to share them out one by one.
static constexpr std::uint64_t kLeastTogether = 4 * simt::kThreadgroupsTogether;

CpuKernel::Plan CpuKernel::plan(const simt::LaunchContext& launch, const Dispatch& dispatch,
                                bool is_alone) {
  Plan wanted;
  wanted.shape.is_alone = is_alone;
  if (!prepared_) {
    wanted.shape.streams = streams(launch, dispatch);
    if (wanted.shape == simt::Shape{})
      return {{}, general_.get(), general_.get()};
    const std::lock_guard lock(shared_->mutex);
    wanted.whole = wanted.edge = &variant(wanted.shape);
    const std::lock_guard plan_lock(plan_mutex_);
    return last_plan_ = wanted;
  }
  std::copy_n(launch.dispatch_threads_per_threadgroup, 3, wanted.shape.threads.begin());
  bool has_whole = true;
  bool has_edge = false;
  std::uint64_t threadgroups = 1;
  for (unsigned axis = 0; axis < 3; ++axis) {
    has_whole &= launch.threads_per_grid[axis] >= wanted.shape.threads[axis];
    has_edge |= launch.threads_per_grid[axis] % wanted.shape.threads[axis] != 0;
    threadgroups *= launch.threadgroups_per_grid[axis];
    if (axis > 0)
      wanted.shape.one_group[axis - 1] = launch.threadgroups_per_grid[axis] == 1;
  }
  const std::uint32_t along_x = launch.threadgroups_per_grid[0];
  if (!has_edge && can_be_together_ && along_x % simt::kThreadgroupsTogether == 0 &&
      threadgroups >= kLeastTogether * ThreadPool::instance().width())
    wanted.shape.together = along_x % simt::kMostThreadgroups == 0 ? simt::kMostThreadgroups
                                                                   : simt::kThreadgroupsTogether;
  for (const Binding& binding : dispatch.bindings)
    wanted.shape.large_buffers |= binding.length >> 32 != 0;
  wanted.shape.streams = streams(launch, dispatch);
  {
    const std::lock_guard lock(plan_mutex_);
    if (last_plan_.whole && last_plan_.shape == wanted.shape && (!has_edge || last_plan_.edge)) {
      wanted.whole = last_plan_.whole;
      wanted.edge = last_plan_.edge ? last_plan_.edge : last_plan_.whole;
      return wanted;
    }
  }
  {
    const std::lock_guard lock(shared_->mutex);
    simt::Shape any;
    any.large_buffers = wanted.shape.large_buffers;
    any.is_alone = is_alone;
    any.one_row = wanted.shape.threads[1] * wanted.shape.threads[2] == 1;
    if (has_edge)
      wanted.edge = &variant(any);
    wanted.whole = has_whole ? &variant(wanted.shape) : wanted.edge;
  }
  if (has_whole) {
    const std::lock_guard lock(plan_mutex_);
    last_plan_ = wanted;
  }
  if (!wanted.edge)
    wanted.edge = wanted.whole;
  return wanted;
}

// ------------------------------------------------------------------------------ dispatching

Timing CpuKernel::dispatch(const Dispatch& dispatch) {
  simt::LaunchContext launch;
  fill_launch({name_, arguments_, max_threads_, static_threadgroup_memory_}, dispatch, launch);
  const Plan code = plan(launch, dispatch, false);
  const double threads = static_cast<double>(launch.threads_per_grid[0]) *
                         launch.threads_per_grid[1] * launch.threads_per_grid[2];

  const std::int64_t begin = now_nanoseconds();
  Supervision supervision;
  if (dispatch.deadline)
    supervision.deadline =
        *dispatch.deadline < 1e9
            ? begin + static_cast<std::int64_t>(std::max(0.0, *dispatch.deadline) * 1e9)
            : INT64_MAX;
  if (dispatch.interrupted) {
    supervision.interrupted = &dispatch.interrupted;
    supervision.next_poll = begin + kPollInterval;
  }

  // A unit should last much longer than it takes to get one, and there should be several per thread
  // for balance.
  ThreadPool& pool = ThreadPool::instance();
  const float known_cost = thread_cost_.load(std::memory_order_relaxed);
  const double cost = known_cost > 0 ? known_cost : 1.0;
  constexpr double kUnit = 20'000; // nanoseconds
  const double per_unit = std::min(kUnit / cost, threads / (pool.width() * 8.0));
  const double least = kUnit / 8 / cost;
  const auto threads_per_unit = static_cast<std::uint64_t>(std::max({1.0, per_unit, least}));
  GridJob job(code.whole->executable, code.edge->executable, launch, supervision, threads_per_unit);
  const double expected = threads * cost;
  unsigned helpers = 0;
  if (job.units() > 1 && (known_cost == 0 || pool.is_worth_sharing(expected)))
    helpers = static_cast<unsigned>(std::min<double>(
        {double(pool.width() - 1), double(job.units() - 1), expected / kUnit + 1}));

  Timing timing;
  if (observed_) {
    const CheckedCode checked{name_, general_->checks, general_->sites};
    timing.findings =
        run_checked(general_->executable, checked, arguments_, dispatch, launch, supervision);
    // What a finding tells better than an error.
    const Failure::Kind kind = supervision.failure.kind;
    if (kind != Failure::Kind::none && kind != Failure::Kind::divergent_barrier &&
        kind != Failure::Kind::memory_access && kind != Failure::Kind::trap)
      fail(supervision.failure, dispatch, general_->executable);
    timing.start = static_cast<double>(begin) * 1e-9;
    timing.end = static_cast<double>(now_nanoseconds()) * 1e-9;
    timing.runs.assign(dispatch.repeats, timing.end - timing.start);
    return timing;
  }
  timing.runs.reserve(dispatch.repeats);
  std::optional<GridJob> job_alone; // with atomic operations that are plain ones
  timing.start = static_cast<double>(begin) * 1e-9;
  std::int64_t last = begin;
  for (unsigned repeat = 0; repeat < dispatch.repeats; ++repeat) {
    const bool is_choice = may_contend_ && helpers > 0;
    const Way way = is_choice ? thread_choice_.next(helpers, threads, is_rare_) : Way::together;
    if (way == Way::alone_plain && !job_alone) {
      const Plan alone = plan(launch, dispatch, true);
      job_alone.emplace(alone.whole->executable, alone.edge->executable, launch, supervision,
                        threads_per_unit);
      if (repeat == 0) // compiling is not part of it
        timing.start = static_cast<double>(now_nanoseconds()) * 1e-9;
    }
    const AtomicSection section(may_contend_, way == Way::alone_plain);
    GridJob& run = section.is_alone() ? *job_alone : job;
    const std::int64_t start = now_nanoseconds();
    pool.run(run, way == Way::together ? helpers : 0);
    last = now_nanoseconds();
    if (supervision.failure.any())
      fail(supervision.failure, dispatch, run.failed());
    const auto nanoseconds = static_cast<double>(last - start);
    timing.runs.push_back(nanoseconds * 1e-9);
    if (is_choice && (way != Way::alone_plain || section.is_alone()))
      thread_choice_.took(way, nanoseconds / threads);
    if (way == Way::together) // what one processor takes is for dispatches on several
      adapt(thread_cost_, nanoseconds * (helpers + 1) / threads);
  }
  timing.end = static_cast<double>(last) * 1e-9;
  return timing;
}

// ------------------------------------------------------------------------------ failures

static std::string hexadecimal(std::uintptr_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

// Where an address lies relative to what is bound, when it is near something.
std::string CpuKernel::describe_address(std::uintptr_t address, const Dispatch& dispatch) const {
  std::string best;
  std::uint64_t distance = std::uint64_t{1} << 30;
  for (const Binding& binding : dispatch.bindings) {
    if (binding.kind != ArgumentKind::buffer)
      continue;
    const auto argument =
        std::find_if(arguments_.begin(), arguments_.end(), [&](const Argument& candidate) {
          return candidate.kind == binding.kind && candidate.index == binding.index;
        });
    if (argument == arguments_.end())
      continue;
    const auto begin = reinterpret_cast<std::uintptr_t>(binding.pointer);
    const std::uintptr_t end = begin + binding.length;
    const std::uint64_t away = address < begin ? begin - address
                               : address < end ? 0
                                               : address - end;
    if (away >= distance)
      continue;
    distance = away;
    const std::string bytes = std::to_string(away) + " bytes ";
    best = (address < begin ? bytes + "before the start of "
            : address < end ? std::string("in (it may be read-only memory) ")
                            : bytes + "past the end of ") +
           "argument '" + argument->name + "' (buffer " + std::to_string(argument->index) + ", " +
           std::to_string(binding.length) + " bytes)";
  }
  return best;
}

// With the module's lock held.
const CpuKernel::Variant* CpuKernel::variant_of(const Executable& executable) const {
  for (const auto& [shape, candidate] : variants_)
    if (&candidate->executable == &executable)
      return candidate.get();
  return general_.get();
}

std::string CpuKernel::describe_site(unsigned site, const Executable& executable,
                                     const std::vector<simt::Site>& sites) const {
  if (site >= sites.size())
    // The simdgroup engine knows who is missing, not where they are.
    return executable.engine == simt::Engine::simdgroup ? "its end or elsewhere in it"
                                                        : "the end of the kernel";
  const simt::Site& found = sites[site];
  std::string text = found.what;
  if (found.line != 0)
    text += " at " + (found.file.empty() ? "line " : found.file + ":") + std::to_string(found.line);
  else
    text += " (cross-lane operation " + std::to_string(site + 1) + " of the kernel)";
  return text;
}

simt::KernelCode CpuKernel::code_for(const simt::Shape& shape) const {
  std::string reason;
  return prepared_ ? lower(shape, reason)
                   : simt::lower_to_loop(simt::prepare_kernel(specialise().entry, host_target()),
                                         host_target(), shape);
}

bool CpuKernel::with_lines(const Variant& variant,
                           llvm::function_ref<void(simt::KernelCode&)> use) const {
  if (!shared_->source || observed_)
    return false;
  try {
    msl::CompiledModule compiled =
        msl::compile(shared_->source->text, shared_->source->options, msl::Places::kept);
    // Nobody else knows this module: no lock.
    auto shared = std::make_shared<SharedModule>();
    shared->context = std::move(compiled.context);
    shared->module = std::move(compiled.module);
    CpuKernel again(shared, name_, constants_);
    again.choice_ = choice_;
    simt::KernelCode code = again.code_for(variant.shape);
    use(code);
    return true;
  } catch (const Error&) {
    return false; // a file that it includes has changed: the error goes without a place
  }
}

std::optional<SourcePlace> CpuKernel::place_of(const Failure& failure) const {
  const std::lock_guard lock(shared_->mutex);
  const Variant* variant = nullptr;
  std::optional<std::uint64_t> offset;
  auto try_variant = [&](const Variant& candidate) {
    if (offset || !candidate.object)
      return;
    offset = faulting_offset(failure, *candidate.object);
    variant = &candidate;
  };
  if (general_)
    try_variant(*general_);
  for (const auto& [shape, candidate] : variants_)
    try_variant(*candidate);
  std::optional<SourcePlace> place;
  if (offset)
    with_lines(*variant, [&](simt::KernelCode& code) {
      place = find_place(emit_object(*code.module), *variant->object, *offset, *shared_->source);
    });
  return place;
}

void CpuKernel::fail_at(const char* code, std::string message,
                        const std::optional<SourcePlace>& place) const {
  if (!place)
    throw DispatchError(code, message);
  throw LocatedDispatchError(code, diagnostic_at(*place, std::move(message), *shared_->source));
}

void CpuKernel::fail(const Failure& failure, const Dispatch& dispatch,
                     const Executable& executable) const {
  const std::string who = "kernel '" + name_ + "'";
  switch (failure.kind.load()) {
  case Failure::Kind::deadline: {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%g", dispatch.deadline.value_or(0));
    throw DispatchError(errors::deadline_exceeded,
                        who + " was stopped: it ran for longer than its deadline of " + seconds +
                            " s");
  }
  case Failure::Kind::interrupted:
    throw DispatchError(errors::interrupted, who + " was interrupted");
  case Failure::Kind::memory_access: {
    const std::string where = describe_address(failure.address, dispatch);
    fail_at(errors::invalid_memory_access,
            who + " accessed invalid memory at " + hexadecimal(failure.address) +
                (where.empty() ? "" : ", " + where),
            place_of(failure));
  }
  case Failure::Kind::trap:
    fail_at(errors::kernel_trap, who + " executed a trap or an illegal instruction",
            place_of(failure));
  case Failure::Kind::divergent_barrier: {
    std::vector<simt::Site> sites;
    {
      const std::lock_guard lock(shared_->mutex);
      const Variant* variant = variant_of(executable);
      if (variant) {
        sites = variant->sites;
        with_lines(*variant, [&](simt::KernelCode& code) {
          if (code.sites.size() == sites.size())
            sites = std::move(code.sites);
        });
      }
    }
    std::optional<SourcePlace> place;
    if (failure.site < sites.size() && sites[failure.site].line != 0 && shared_->source)
      place = {sites[failure.site].file, sites[failure.site].line, sites[failure.site].column};
    fail_at(errors::divergent_barrier,
            who + ", threadgroup (" + std::to_string(failure.threadgroup[0]) + ", " +
                std::to_string(failure.threadgroup[1]) + ", " +
                std::to_string(failure.threadgroup[2]) + "): some threads wait at " +
                describe_site(failure.site, executable, sites) + " while others are at " +
                describe_site(failure.other_site, executable, sites) +
                ": every thread of a threadgroup must reach every barrier",
            place);
  }
  case Failure::Kind::out_of_memory:
    throw Error(errors::out_of_memory, who + ": there is no memory for the threads' stacks");
  case Failure::Kind::none:
    break;
  }
  std::abort(); // fail() without a failure
}

// ------------------------------------------------------------------------------ looking inside

static std::string print(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, nullptr);
  return text;
}

std::string CpuKernel::code(std::string_view stage) {
  if (stage != "air" && stage != "llvm" && stage != "asm")
    throw Error(errors::no_such_stage, "there is no stage '" + std::string(stage) +
                                           "': the CPU device has 'air', 'llvm' and 'asm'");
  const std::lock_guard lock(shared_->mutex);
  if (stage == "air") {
    // A copy with the other kernels taken out.
    auto copy = llvm::CloneModule(*shared_->module);
    air::EntryPoint entry = find_entry(*copy, name_);
    if (copy->getNamedMetadata("air.function_constants"))
      air::specialise(*copy, entry, constants_);
    if (llvm::NamedMDNode* kernels = copy->getNamedMetadata("air.kernel")) {
      std::vector<llvm::MDNode*> own;
      for (llvm::MDNode* node : kernels->operands())
        if (llvm::mdconst::dyn_extract<llvm::Function>(node->getOperand(0)) == entry.function)
          own.push_back(node);
      kernels->clearOperands();
      for (llvm::MDNode* node : own)
        kernels->addOperand(node);
    }
    for (llvm::Function& function : *copy)
      if (!function.isDeclaration() && &function != entry.function) {
        function.setLinkage(llvm::GlobalValue::InternalLinkage);
        function.setComdat(nullptr);
      }
    llvm::ModuleAnalysisManager modules;
    llvm::FunctionAnalysisManager functions;
    modules.registerPass([&] { return llvm::FunctionAnalysisManagerModuleProxy(functions); });
    modules.registerPass([] { return llvm::PassInstrumentationAnalysis(); });
    functions.registerPass([] { return llvm::PassInstrumentationAnalysis(); });
    llvm::GlobalDCEPass().run(*copy, modules);
    return print(*copy);
  }
  // The code of the latest dispatch.
  simt::Shape shape;
  {
    const std::lock_guard plan_lock(plan_mutex_);
    shape = last_plan_.whole ? last_plan_.shape : usual_shape();
  }
  const simt::KernelCode code = code_for(shape);
  return stage == "llvm" ? print(*code.module) : emit_assembly(*code.module);
}

std::string CpuKernel::describe_remarks(const Variant& variant) const {
  simt::Remarks remarks = variant.remarks;
  if (remarks.empty())
    return {};
  with_lines(variant, [&](simt::KernelCode& code) { remarks = std::move(code.remarks); });
  std::string text;
  std::map<simt::Remark, unsigned> counted;
  for (simt::Remark& remark : remarks)
    ++counted[std::move(remark)];
  for (const auto& [remark, count] : counted) {
    if (remark.line != 0)
      text +=
          (remark.file.empty() ? "line " : remark.file + ":") + std::to_string(remark.line) + ": ";
    text += remark.text;
    if (count > 1)
      text += " (" + std::to_string(count) + " of them)";
    text += "\n";
  }
  return text;
}

std::string CpuKernel::describe_streams(simt::SlotSet streams) const {
  std::string names;
  unsigned slot = 0;
  for (const Argument& argument : arguments_) {
    if (!argument.is_active)
      continue;
    if (simt::contains(streams, slot))
      names += (names.empty() ? "" : ", ") + argument.name;
    ++slot;
  }
  return names.empty() ? "" : "stores that leave the cache out: " + names + "\n";
}

static constexpr const char* kAloneText =
    "on one thread, where that is faster, with atomic operations as plain ones:\n";

std::string CpuKernel::explain() {
  const std::lock_guard lock(shared_->mutex);
  auto describe = [this](const Variant& variant) {
    const Executable& code = variant.executable;
    std::string text = std::string("engine: ") + simt::name(code.engine);
    if (code.engine == simt::Engine::checked)
      text += " (every thread a fiber)";
    else if (code.engine == simt::Engine::simdgroup)
      text += " (32 threads a vector)";
    text += ", because " + variant.reason + "\n";
    if (code.engine == simt::Engine::vector_loop)
      text += std::string(code.over_grid ? "loops: over rows of the whole grid"
                                         : "loops: over the threads of each threadgroup") +
              (variant.period != 0 ? ", cut at the multiples of " + std::to_string(variant.period) +
                                         ", by which positions are divided\n"
                                   : "\n");
    else if (code.engine == simt::Engine::checked)
      text += "convergent sites: " + std::to_string(variant.sites.size()) +
              (code.has_barrier ? ", with threadgroup barriers\n" : ", without barriers\n");
    else
      text += "threadgroup barriers: " + std::to_string(variant.sites.size()) +
              (code.is_joined ? ", all simdgroups in one program" : "") +
              (code.threadgroups > 1
                   ? " for " + std::to_string(code.threadgroups) + " threadgroups at a time"
                   : "") +
              (variant.is_cut ? " that is cut at its barriers\n" : "\n") +
              describe_remarks(variant);
    return text + describe_streams(variant.streams) + "stack: " + std::to_string(code.stack_size) +
           " bytes\n";
  };
  std::string text;
  if (!prepared_) {
    text = describe(*general_);
    for (const auto& [shape, variant] : variants_) {
      if (shape.streams != 0)
        text += "for results of " + std::to_string(kLeastStreamed >> 20) + " MiB and more:\n";
      if (shape.is_alone)
        text += kAloneText;
      text += describe(*variant);
    }
  } else {
    if (variants_.empty() && !general_)
      variant(usual_shape());
    if (variants_.empty())
      text = describe(*general_);
    for (const auto& [shape, variant] : variants_) {
      text += shape.is_known() ? "threadgroups of " + std::to_string(shape.threads[0]) + " x " +
                                     std::to_string(shape.threads[1]) + " x " +
                                     std::to_string(shape.threads[2]) + ":\n"
                               : "threadgroups of any size:\n";
      if (shape.is_alone)
        text += kAloneText;
      text += describe(*variant);
    }
  }
  text +=
      "threadgroup memory: " + std::to_string(static_threadgroup_memory_) + " bytes of its own\n";
  return text;
}

} // namespace metalwright::cpu
